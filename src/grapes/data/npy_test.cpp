#include "grapes/data/npy.h"

#include "grapes/data/test_files.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapes::data {
namespace {

using testing::HasSubstr;

TEST(Npy, ReadsEveryTypeAndVersion) {
  const at::Tensor expected = at::tensor({1, 2, 3, 4, 5, 6}, at::kDouble).reshape({2, 3});
  const auto same = [&](const std::string& bytes) {
    return at::equal(npy_array(bytes, "f").values.to(at::kDouble), expected);
  };
  EXPECT_TRUE(same(npy_file("<f4", "(2, 3)", raw<float>({1, 2, 3, 4, 5, 6}))));
  EXPECT_TRUE(same(npy_file("<f8", "(2, 3)", raw<double>({1, 2, 3, 4, 5, 6}), 2)));
  EXPECT_TRUE(same(npy_file("|u1", "(2, 3)", raw<std::uint8_t>({1, 2, 3, 4, 5, 6}), 3)));
  EXPECT_TRUE(same(npy_file("<i4", "(2, 3)", raw<std::int32_t>({1, 2, 3, 4, 5, 6}))));
  EXPECT_TRUE(same(npy_file("<i8", "(2, 3)", raw<std::int64_t>({1, 2, 3, 4, 5, 6}))));
  EXPECT_EQ(npy_array(npy_file("<f4", "(2,)", raw<float>({1, 2})), "f").values.sizes(), at::IntArrayRef{2});
}

/// The numbers of an array that has been through a file.
template <class T>
at::Tensor through(const std::string& type, std::initializer_list<T> values, const std::string& order = "False") {
  const std::string bytes = raw(values, type[0] == '>');
  return npy_array(npy_file(type, "(2, 3)", bytes, 1, order), "f").values.to(at::kDouble);
}

TEST(Npy, ReadsBothByteOrdersAndBothOrdersOfTheShape) {
  const at::Tensor expected = at::tensor({-1, 2, 3, 4, 5, 6}, at::kDouble).reshape({2, 3});
  for (const std::string order : {"<", ">"}) {
    EXPECT_TRUE(at::equal(through<float>(order + "f4", {-1, 2, 3, 4, 5, 6}), expected));
    EXPECT_TRUE(at::equal(through<double>(order + "f8", {-1, 2, 3, 4, 5, 6}), expected));
    EXPECT_TRUE(at::equal(through<c10::Half>(order + "f2", {-1, 2, 3, 4, 5, 6}), expected));
    EXPECT_TRUE(at::equal(through<std::int8_t>(order + "i1", {-1, 2, 3, 4, 5, 6}), expected));
    EXPECT_TRUE(at::equal(through<std::int16_t>(order + "i2", {-1, 2, 3, 4, 5, 6}), expected));
    EXPECT_TRUE(at::equal(through<std::int32_t>(order + "i4", {-1, 2, 3, 4, 5, 6}), expected));
    EXPECT_TRUE(at::equal(through<std::int64_t>(order + "i8", {-1, 2, 3, 4, 5, 6}), expected));
    EXPECT_TRUE(at::equal(through<std::uint16_t>(order + "u2", {1, 2, 3, 4, 5, 65535}).select(1, 2),
                          at::tensor({3, 65535}, at::kDouble)));
    EXPECT_TRUE(at::equal(through<std::uint32_t>(order + "u4", {1, 2, 3, 4, 5, 4294967295U}).select(1, 2),
                          at::tensor({3.0, 4294967295.0}, at::kDouble)));
    EXPECT_TRUE(at::equal(through<std::uint64_t>(order + "u8", {1, 2, 3, 4, 5, 1ULL << 63U}).select(1, 2),
                          at::tensor({3.0, 9223372036854775808.0}, at::kDouble)));
    EXPECT_TRUE(at::equal(through<double>(order + "f8", {-1, 4, 2, 5, 3, 6}, "True"), expected));
  }
  EXPECT_TRUE(at::equal(through<bool>("|b1", {true, false, true, true, true, false}).select(1, 0),
                        at::tensor({1, 1}, at::kDouble)));
  if (sizeof(long double) == 16) {
    EXPECT_TRUE(at::equal(through<long double>("<f16", {-1, 2, 3, 4, 5, 6}), expected));
  }
}

TEST(Npy, ValuesAreNotCopied) {
  const auto bytes = std::make_shared<const std::string>(npy_file("<f4", "(2,)", raw<float>({1, 2})));
  const at::Tensor values = npy_array(*bytes, "f", bytes).values;
  EXPECT_EQ(static_cast<const char*>(values.data_ptr()), bytes->data() + bytes->size() - 8);
  EXPECT_EQ(bytes.use_count(), 2);
}

TEST(Npy, RejectsUnsupportedFiles) {
  const std::string two = raw<float>({1, 2});
  const auto message = [](const std::string& bytes) { return refusal([&] { npy_array(bytes, "f.npy"); }); };
  EXPECT_THAT(message(npy_file("<f4", "(3,)", two)),
              HasSubstr("f.npy: 8 bytes follow the header, too few for the shape [3]"));
  EXPECT_THAT(message(npy_file("<f4", "(1,)", two)), HasSubstr("too many"));
  EXPECT_THAT(message(npy_file("<f4", "(4294967296, 4294967296, 4294967296)", two)), HasSubstr("too few"));
  EXPECT_THAT(message(npy_file("<f4", "(0, 9223372036854775807, 9)", two)), HasSubstr("too many"));
  EXPECT_THAT(message(npy_file("<f4", "(-2,)", two)), HasSubstr("'-2' as a size"));
  EXPECT_THAT(message(npy_file("<q4", "(2,)", two)), HasSubstr("type '<q4', expected numbers: b1, i1"));
  EXPECT_THAT(message(npy_file("<f3", "(2,)", two)), HasSubstr("type '<f3'"));
  EXPECT_THAT(message(npy_file("|O", "(2,)", two)), HasSubstr("Python objects"));
  EXPECT_THAT(message(npy_file("|O8", "(2,)", two)), HasSubstr("has Python objects (type '|O8'), expected numbers"));
  EXPECT_THAT(message(npy_file("<c8", "(1,)", two)), HasSubstr("complex numbers"));
  EXPECT_THAT(message(npy_file("<M8[ns]", "(1,)", two)), HasSubstr("dates"));
  EXPECT_THAT(message(npy_file("<U1", "(1, 2)", two)), HasSubstr("strings of shape [1, 2]"));
  EXPECT_THAT(message("PK\x03\x04 some zip"), HasSubstr("not an NPY file"));
  EXPECT_THAT(message(npy_file("<f4", "(2,)", two, 9)), HasSubstr("NPY version 9"));
}

TEST(Npy, NeverCrashesOnATruncatedOrGarbledFile) {
  const std::string bytes = npy_file("<i4", "(2, 2)", raw<std::int32_t>({1, 2, 3, 4}), 2);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_THAT(refusal([&] { npy_array(bytes.substr(0, n), "f.npy"); }), HasSubstr("f.npy: ")) << n;
    for (const char garbage : {'\0', '(', '9', '\xff'}) {
      std::string broken = bytes;
      broken[n] = garbage;
      try {
        npy_array(broken, "f.npy");
      } catch (const DataError& error) {
        EXPECT_THAT(error.what(), HasSubstr("f.npy: "));
      }
    }
  }
}

}  // namespace
}  // namespace grapes::data
