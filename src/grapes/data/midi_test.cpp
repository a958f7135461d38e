// MIDI files, read back by a parser written from the format's description.
#include "grapes/data/midi.h"

#include "grapes/data/sequence.h"

#include <gmock/gmock.h>
#include <torch/torch.h>

#include <string>

namespace grapes::data {
namespace {

/// The roll that a file of one track plays, in quarters of `division` ticks.
at::Tensor played(const std::string& bytes, std::int64_t quarters) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned>(static_cast<unsigned char>(bytes.at(at))); };
  EXPECT_EQ(bytes.substr(0, 4), "MThd");
  EXPECT_EQ(byte(9) + 256 * byte(8), 0U);
  EXPECT_EQ(byte(11), 1U);
  const unsigned division = 256 * byte(12) + byte(13);
  EXPECT_EQ(bytes.substr(14, 4), "MTrk");
  const std::size_t length = byte(18) << 24 | byte(19) << 16 | byte(20) << 8 | byte(21);
  EXPECT_EQ(bytes.size(), 22 + length);
  const auto roll = torch::zeros({quarters, notes});
  std::vector<std::int64_t> since(128, -1);
  std::int64_t time = 0;
  for (std::size_t at = 22; at < bytes.size();) {
    unsigned wait = 0;
    do wait = wait << 7 | (byte(at) & 127U);
    while ((byte(at++) & 128U) != 0);
    time += wait;
    const unsigned status = byte(at);
    if (status == 0xff) {
      if (byte(at + 1) == 0x2f) {
        EXPECT_EQ(at + 3, bytes.size());
      }
      at += 3 + byte(at + 2);
      continue;
    }
    const unsigned note = byte(at + 1);
    if (status == 0x90) {
      EXPECT_EQ(since[note], -1);
      since[note] = time / division;
    } else {
      EXPECT_EQ(status, 0x80U);
      for (std::int64_t t = since[note]; t < time / division; ++t) roll[t][note - lowest_note] = 1;
      since[note] = -1;
    }
    at += 3;
  }
  for (const auto begin : since) EXPECT_EQ(begin, -1) << "a note never ends";
  return roll;
}

TEST(Midi, PlaysTheRoll) {
  auto generator = at::detail::createCPUGenerator(3);
  auto roll = (torch::rand({60, notes}, generator) < 0.1).to(torch::kFloat);
  roll[59].fill_(1);
  roll[30].fill_(0);
  EXPECT_TRUE(torch::equal(played(midi(roll), 60), roll));
  EXPECT_TRUE(torch::equal(played(midi(torch::zeros({3, notes})), 3), torch::zeros({3, notes})));
}

}  // namespace
}  // namespace grapes::data
