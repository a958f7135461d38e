#include "grapes/record/bits.h"

#include "grapes/base/error.h"

#include <gmock/gmock.h>

namespace grapes::record {
namespace {

TEST(Bits, FileHasTheBytesThatNumPyWrites) {
  // numpy.save(FILE, numpy.packbits([1, 0, 0, 0, 0, 0, 1, 1, 1, 0, 1]))
  const std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }";
  const std::string expected = std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header +
                               std::string(128 - 10 - 1 - header.size(), ' ') + "\n\x83\xa0";
  EXPECT_EQ(packed_bits({true, false, false, false, false, false, true, true, true, false, true}), expected);
}

TEST(Bits, AreReadAgainForEveryLength) {
  for (std::size_t n = 1; n <= 40; ++n) {
    std::vector<bool> flags(n);
    for (std::size_t i = 0; i < n; ++i) flags[i] = i % 3 == 0;
    const double fraction = static_cast<double>((n + 2) / 3) / static_cast<double>(n);
    EXPECT_EQ(unpacked_bits(packed_bits(flags), fraction, "f"), flags) << n;
  }
}

TEST(Bits, OtherFilesAreErrorsWithTheirName) {
  const std::string file = packed_bits({true, true, false});
  const auto message = [](const std::string& text) {
    return testing::ThrowsMessage<DataError>(testing::StartsWith("x.npy: " + text));
  };
  EXPECT_THAT([] { unpacked_bits("", 1, "x.npy"); }, message("expected a file in NumPy's format"));
  EXPECT_THAT([&] { unpacked_bits(file + "more", 1, "x.npy"); }, message("expected"));
  EXPECT_THAT([&] { unpacked_bits(file.substr(0, 20), 1, "x.npy"); }, message("expected"));
  EXPECT_THAT([&] { unpacked_bits(file, 0.9, "x.npy"); }, message("2 of about 8 examples are right"));
}

}  // namespace
}  // namespace grapes::record
