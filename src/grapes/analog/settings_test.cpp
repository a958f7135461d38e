#include "grapes/analog/settings.h"

#include "grapes/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace grapes::analog {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Settings, RoundTripAsText) {
  for (const char* text :
       {"none", "pcm", "constant-step:imbalance=0.02", "soft-bounds:noise=2,imbalance=0.1",
        "soft-bounds:noise=4,spread=1", "ideal:low=-1,high=1", "soft-bounds:noise=0,noise=2", "ideal:high=inf"})
    EXPECT_EQ(to_string(parse_device(text)), text);
  for (const char* text : {"", "dac-bits=8,adc-bits=0", "dac-bits=0,adc-bits=0,output-noise=0", "input-bound=2",
                           "adc-bits=0,output-bound=inf,noise-management=0,bound-management=0"})
    EXPECT_EQ(to_string(parse_converter(text)), text);
  for (const char* text : {"none", "forward,backward,update", "forward,backward,update,write", "write"})
    EXPECT_EQ(to_string(parse_operations(text)), text);
  EXPECT_EQ(to_string(Operations()), "forward,backward,update");
  EXPECT_EQ(to_string(Sensing::automatic), "auto");
  EXPECT_EQ(to_string(Sensing::serial), "serial");
}

TEST(Settings, AnotherSpellingIsWrittenWithTheSameMeaning) {
  EXPECT_EQ(to_string(parse_device("reram:step=1e-3")), "reram:step=0.001");
  EXPECT_EQ(to_string(parse_converter("adc-bits=9,dac-bits=8.0,bound-management=1")), "dac-bits=8");
  EXPECT_EQ(to_string(parse_operations("update,forward,update")), "forward,update");
}

TEST(Settings, ChangesApplyInOrder) {
  const Device row = device_of({"soft-bounds"});
  EXPECT_EQ(device_of({"soft-bounds", {{"noise", 2}}}).noise_step, 2 * row.noise_step);
  EXPECT_EQ(device_of({"soft-bounds", {{"noise", 2}, {"noise_step", 0.5}}}).noise_step, 0.5);
  EXPECT_EQ(device_of({"soft-bounds", {{"noise_step", 0.5}, {"noise", 2}}}).noise_step, 1);
  EXPECT_EQ(device_of({"soft-bounds", {{"spread", 0}}}).step_spread, 0);
  const Converter read = parse_converter("output-noise=0.25,noise-management=0");
  EXPECT_EQ(read.output_noise, 0.25);
  EXPECT_FALSE(read.noise_management);
  EXPECT_TRUE(read.bound_management);
}

TEST(Settings, InvalidSettingsAreErrorsThatNameThem) {
  const auto refuses = [](auto parse, const std::string& text, const std::string& words) {
    EXPECT_THAT([&] { parse(text); }, ThrowsMessage<UsageError>(HasSubstr(words))) << text;
  };
  refuses(parse_device, "softbounds", "did you mean 'soft-bounds'");
  refuses(parse_device, "reram:nois=2", "did you mean 'noise'");
  refuses(parse_device, "reram:noise", "device: 'noise': expected noise=NUMBER");
  refuses(parse_device, "reram:noise=-1", "device: 'noise=-1': expected noise=NUMBER of at least 0");
  refuses(parse_device, "reram:low=1", "device 'reram': low must be a number from -inf to 0; got 1");
  refuses(parse_device, "soft-bounds:imbalance=nan", "imbalance must be a number from -1 to 1");
  refuses(parse_converter, "dac=7", "unknown converter field 'dac'");
  for (const std::string wrong : {"dac-bits=7.9", "dac-bits=1e30"})
    refuses(parse_converter, wrong, "converter: '" + wrong + "': expected dac-bits=WHOLE NUMBER");
  for (const std::string wrong : {"adc-bits=1", "adc-bits=-2"})
    refuses(parse_converter, wrong,
            "converter: adc_bits must be 2 to 24, or 0 for no rounding; got " + wrong.substr(9));
  refuses(parse_converter, "output-bound=inf", "converter: an ADC of 9 bits needs a finite output_bound");
  refuses(parse_converter, "noise-management=7", "expected noise-management=0 or 1");
  refuses(parse_converter, "output-noise=-1", "converter: output_noise must be at least 0; got -1");
  refuses(parse_operations, "forwards", "did you mean 'forward'");
  EXPECT_THAT(
      [] {
        device_of({"reram", {{"noise", -1}}});
      },
      ThrowsMessage<UsageError>(HasSubstr("device: 'noise=-1': expected noise=NUMBER of at least 0")));
}

}  // namespace
}  // namespace grapes::analog
