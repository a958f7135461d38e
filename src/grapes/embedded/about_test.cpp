#include "grapes/embedded/about.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapes::embedded {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::SizeIs;

experiment::Loaded colored() {
  experiment::Loaded loaded{{}, {}, {}, nullptr, nn::Criterion("auto", "auto", nn::TargetKind::classes)};
  loaded.config.network.model = nn::parse_model("mlp:8");
  loaded.config.network.activation = "tanh";
  loaded.config.network.rule.modulation = "grapes";
  loaded.config.data.data = "some/where/pictures.npy";
  loaded.info.input_shape = {3, 4, 5};
  loaded.info.classes = {"0", "cat"};
  return loaded;
}

TEST(About, NamesTheRunOfANetworkAndItsOutputs) {
  const std::vector<std::string> lines = about(colored(), "runs/best.safetensors", 12);
  EXPECT_EQ(lines.front(), "From best.safetensors: mlp:8, tanh, trained by grapes on pictures.npy.");
  EXPECT_EQ(lines.back(), "Outputs: 0, 1 cat.");
  EXPECT_THAT(lines, Contains(HasSubstr("x[i] = v[i] 2^12")));
}

TEST(About, SaysHowInputsAreScaled) {
  experiment::Loaded loaded = colored();
  const auto scaled_by = [&](const at::Tensor& scale) {
    loaded.normalization.shift = at::zeros_like(scale);
    loaded.normalization.scale = scale;
    return about(loaded, "x", 10);
  };
  EXPECT_THAT(scaled_by(at::full({1}, 0.5)), Contains(HasSubstr("shift and scale are the same for all inputs:")));
  EXPECT_THAT(scaled_by(at::full({1}, 0.5)), Contains("scale = 0.5"));
  const auto by_channel = scaled_by(at::tensor({1.0, 2.0, 0.25}).view({3, 1, 1}));
  EXPECT_THAT(by_channel, Contains(HasSubstr("per channel of 20 inputs:")));
  EXPECT_THAT(by_channel, Contains("scale = 1, 2, 0.25"));
  const auto by_input = scaled_by(at::full({3, 4, 5}, 1.0 / 3));
  EXPECT_THAT(by_input, Contains(HasSubstr("per input:")));
  for (const std::string& line : by_input) EXPECT_THAT(line, SizeIs(testing::Le(115))) << line;
}

}  // namespace
}  // namespace grapes::embedded
