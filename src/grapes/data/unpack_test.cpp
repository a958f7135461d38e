#include "grapes/data/unpack.h"

#include "grapes/data/test_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lzma.h>

namespace grapes::data {
namespace {

using ::testing::HasSubstr;

TEST(Gzip, UnpacksOneMemberAndSeveral) {
  const std::string content = idx_images_file(60, 28, 28);
  EXPECT_EQ(gunzip(gzip(content), "f"), content);
  EXPECT_EQ(gunzip(gzip("one ") + gzip("two"), "f"), "one two");
  const std::string large(5 << 20, 'a');
  EXPECT_EQ(gunzip(gzip(large), "f"), large);
}

TEST(Gzip, RejectsEveryTruncationAndEveryFlippedByte) {
  const std::string packed = gzip(idx_labels_file(40));
  for (std::size_t n = 0; n < packed.size(); ++n) {
    EXPECT_THAT(refusal([&] { gunzip(packed.substr(0, n), "f.gz"); }), HasSubstr("f.gz: ")) << n;
  }
  for (std::size_t i = 10; i < packed.size(); ++i) {  // after the ten bytes of the header: data, CRC-32, length
    std::string broken = packed;
    broken[i] = static_cast<char>(broken[i] ^ 0x10);
    try {
      EXPECT_EQ(gunzip(broken, "f.gz"), idx_labels_file(40)) << i;  // bits between the data and the CRC are not used
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("f.gz: "));
    }
  }
  EXPECT_THAT(refusal([&] { gunzip(packed.substr(0, packed.size() - 9), "f"); }), HasSubstr("truncated"));
  EXPECT_THAT(refusal([&] { gunzip(packed + "more", "f"); }), HasSubstr("4 bytes follow the end"));
  std::string crc = packed;
  crc[crc.size() - 8] = static_cast<char>(crc[crc.size() - 8] ^ 1);
  EXPECT_THAT(refusal([&] { gunzip(crc, "f"); }), HasSubstr("corrupt (incorrect data check)"));
}

TEST(Unpack, ReadsXzAndErrorsNameBrokenFiles) {
  const std::string text(3'000'000, 'a');
  std::string packed(text.size(), '\0');
  std::size_t size = 0;
  ASSERT_EQ(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const std::uint8_t*>(text.data()),
                                    text.size(), reinterpret_cast<std::uint8_t*>(packed.data()), &size, packed.size()),
            LZMA_OK);
  packed.resize(size);
  EXPECT_EQ(unxz(packed, "a.xz"), text);
  EXPECT_THAT(refusal([&] { unxz(packed.substr(0, size / 2), "a.xz"); }), HasSubstr("a.xz: the xz data is truncated"));
  packed[size / 2] ^= 1;
  EXPECT_THAT(refusal([&] { unxz(packed, "a.xz"); }), HasSubstr("a.xz: the xz data is corrupt"));
  EXPECT_THAT(refusal([&] { unxz("abc", "a.xz"); }), HasSubstr("not an xz file"));
}

}  // namespace
}  // namespace grapes::data
