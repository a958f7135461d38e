#include "grapes/nn/precision.h"

#include "grapes/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace grapes::nn {
namespace {

TEST(PrecisionText, RoundTrips) {
  for (const char* text :
       {"float32", "float64", "bf16", "weights=int8", "weights=int8:stochastic,activations=int8,error=e5m2:tensor",
        "weights=int8,error=q4.12:stochastic", "weights=int4,master=float32", "weights=int4,master=int16",
        "master=bf16", "weights=int16:stochastic,activations=int8,error=int8:stochastic",
        "error=e5m2:stochastic:tensor", "weights=int6,activations=q3.5,error=q1.9:channel,update=e5m2"})
    EXPECT_EQ(to_string(parse_precision(text)), text);
}

TEST(PrecisionText, AnotherSpellingIsWrittenWithTheSameMeaning) {
  const std::pair<std::string, std::string> cases[] = {
      {"weights=float32", "float32"},
      {"error=int8,weights=bfloat16", "weights=bf16,error=int8"},
      {"weights=int8:tensor,master=int8", "weights=int8"},
      {"errors=e4m3:unscaled:stochastic,updates=fp8-e5m2", "error=e4m3:stochastic,update=e5m2"}};
  for (const auto& [given, written] : cases) {
    EXPECT_EQ(to_string(parse_precision(given)), written);
    EXPECT_EQ(parse_precision(written), parse_precision(given));
  }
}

TEST(PrecisionText, InvalidTextIsAnError) {
  const std::pair<std::string, std::string> cases[] = {
      {"int8", "precision must be float32, float64, bf16 or PART=FORMAT"},
      {"wights=int8", "did you mean 'weights'"},
      {"weights", "precision must be"},
      {"error=q5.12,weights", "'weights' has no format; expected weights=FORMAT"},
      {"weights=int8,weights=int4", "weights is given twice"},
      {"error=int99", "precision error: 'int99' is not a number format"}};
  for (const auto& one : cases)
    EXPECT_THAT([&] { parse_precision(one.first); },
                testing::ThrowsMessage<UsageError>(testing::HasSubstr(one.second)));
}

}  // namespace
}  // namespace grapes::nn
