// Sequences: what is read of chorales and events, and what is refused; batches that are filled up.
#include "grapes/data/sequence.h"

#include "grapes/base/error.h"
#include "grapes/data/unpack.h"

#include <gmock/gmock.h>
#include <lzma.h>
#include <torch/torch.h>

namespace grapes::data {
namespace {

using ::testing::HasSubstr;

std::string refusal(const std::function<void()>& what) {
  try {
    what();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(Sequence, ChoralesAskForTheNextStep) {
  const auto all = read_chorales(
      R"({"test": [[[60], [21, 108]]], "train": [[[60, 64], [], [62]], [[21], [22], [23], [24]]], "valid": [[[50], [51]]]})",
      "x");
  EXPECT_EQ(all.info.problem, ProblemKind::prediction);
  const DatasetPtr train = sequences(all.train, all.info);
  const Batch batch = train->get(torch::tensor({0, 1}));
  ASSERT_EQ(batch.inputs.sizes(), (std::vector<std::int64_t>{2, 3, 88}));
  EXPECT_TRUE(torch::equal(batch.present, torch::tensor({{true, true, false}, {true, true, true}})));
  EXPECT_EQ(batch.inputs[0].sum().item<int>(), 2);
  EXPECT_EQ(batch.inputs[0][0][60 - 21].item<int>(), 1);
  EXPECT_EQ(batch.targets[0][0].sum().item<int>(), 0);  // the rest
  EXPECT_EQ(batch.targets[0][1][62 - 21].item<int>(), 1);
  EXPECT_TRUE(torch::equal(batch.targets[1].narrow(0, 0, 2), batch.inputs[1].narrow(0, 1, 2)));
  EXPECT_EQ(train->targets().size(0), 5);
  EXPECT_EQ(sequences(all.test, all.info)->get(torch::tensor({0})).targets[0][0][87].item<int>(), 1);
}

TEST(Sequence, ChoralesThatCannotBeAreRefusedByPlace) {
  EXPECT_THAT(refusal([] { read_chorales("{", "a.json"); }), HasSubstr("a.json: not JSON"));
  EXPECT_THAT(refusal([] { read_chorales(R"({"train": [[[60],[60]]], "valid": [[[60],[60]]]})", "a.json"); }),
              HasSubstr("\"test\""));
  EXPECT_THAT(refusal([] { read_chorales(R"({"train": [[[60],[60]], [[60],[20]]]})", "a.json"); }),
              HasSubstr("train, chorale 1, step 1: expected a note of 21 to 108; got 20"));
}

std::string word(std::uint32_t value) {
  std::string bytes;
  for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(value >> shift & 255);
  return bytes;
}
std::string event(int x, int y, int polarity, int time) {
  return {static_cast<char>(x), static_cast<char>(y), static_cast<char>(polarity << 7 | time >> 16),
          static_cast<char>(time >> 8), static_cast<char>(time)};
}
std::string recordings(const std::string& events, std::uint32_t count, std::uint32_t label = 3) {
  return "NMNISTS1" + word(1) + word(0) + word(1) + static_cast<char>(label) + word(count) + events;
}

TEST(Sequence, EventsFallIntoEqualSteps) {
  const std::string bytes =
      recordings(event(5, 7, 1, 0) + event(5, 7, 1, 10) + event(0, 33, 0, 70000) + event(33, 0, 1, 99999), 4);
  const auto spikes = read_events(bytes, "x", {10, "spikes"}).train;
  EXPECT_EQ(spikes.classes[0].item<int>(), 3);
  EXPECT_EQ(spikes.inputs[0].sizes(), (std::vector<std::int64_t>{10, 2, 34, 34}));
  EXPECT_EQ(spikes.inputs[0].sum().item<int>(), 3);
  EXPECT_EQ(spikes.inputs[0][0][1][7][5].item<int>(), 1);
  EXPECT_EQ(spikes.inputs[0][7][0][33][0].item<int>(), 1);
  EXPECT_EQ(spikes.inputs[0][9][1][0][33].item<int>(), 1);
  EXPECT_EQ(read_events(bytes, "x", {10, "counts"}).train.inputs[0][0][1][7][5].item<int>(), 2);
}

TEST(Sequence, EventFilesThatCannotBeAreRefused) {
  const std::string good = recordings(event(5, 7, 1, 0), 1);
  EXPECT_THAT(refusal([&] { read_events(good.substr(0, good.size() - 1), "x.bin", {}); }),
              HasSubstr("x.bin: cut off at byte"));
  EXPECT_THAT(refusal([&] { read_events(good + "a", "x.bin", {}); }), HasSubstr("bytes follow"));
  EXPECT_THAT(refusal([&] { read_events("XMNISTS1", "x.bin", {}); }), HasSubstr("NMNISTS1"));
  EXPECT_THAT(refusal([&] { read_events(recordings(event(34, 7, 1, 0), 1), "x.bin", {}); }),
              HasSubstr("outside of 34 x 34"));
  EXPECT_THAT(refusal([&] { read_events(recordings("", 0, 12), "x.bin", {}); }), HasSubstr("label"));
  EXPECT_THAT(refusal([&] { read_events(good, "x.bin", {5, "rates"}); }), HasSubstr("--event-values rates"));
}

TEST(Sequence, DelayedXorNeedsBothCues) {
  const auto all = delayed_xor();
  ASSERT_EQ(all.train.inputs.size(), 2000U);
  std::int64_t different = 0;
  for (std::size_t i = 0; i < 200; ++i) {
    const auto& x = all.train.inputs[i];
    const auto first = x[0], second = x[x.size(0) - 4];  // three steps of silence follow the second cue
    EXPECT_EQ(first[0].item<int>() + first[1].item<int>(), 1);
    EXPECT_EQ(second[0].item<int>() + second[1].item<int>(), 1);
    const auto answer = first[0].item<int>() != second[0].item<int>() ? 1 : 0;
    EXPECT_EQ(all.train.classes[static_cast<std::int64_t>(i)].item<int>(), answer);
    different += answer;
  }
  EXPECT_GT(different, 70);
  EXPECT_LT(different, 130);
  EXPECT_TRUE(torch::equal(all.train.inputs[7], delayed_xor().train.inputs[7]));
}

TEST(Unpack, XzIsReadAndWhatIsBrokenIsNamed) {
  const std::string text(3'000'000, 'a');
  std::string packed(text.size(), '\0');
  std::size_t size = 0;
  ASSERT_EQ(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const std::uint8_t*>(text.data()),
                                    text.size(), reinterpret_cast<std::uint8_t*>(packed.data()), &size, packed.size()),
            LZMA_OK);
  packed.resize(size);
  EXPECT_EQ(unxz(packed, "a.xz"), text);
  EXPECT_THAT(refusal([&] { unxz(packed.substr(0, size / 2), "a.xz"); }), HasSubstr("a.xz: the xz data is cut off"));
  packed[size / 2] ^= 1;
  EXPECT_THAT(refusal([&] { unxz(packed, "a.xz"); }), HasSubstr("a.xz: the xz data is corrupt"));
  EXPECT_THAT(refusal([&] { unxz("abc", "a.xz"); }), HasSubstr("not an xz file"));
}

}  // namespace
}  // namespace grapes::data
