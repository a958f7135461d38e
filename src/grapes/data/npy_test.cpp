#include "grapes/data/npy.h"

#include "grapes/data/open.h"
#include "grapes/data/test_files.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapes::data {
namespace {

using testing::HasSubstr;

/// The format that NumPy writes.
std::string npy(const std::string& type, const std::string& shape, const std::string& data, int version = 1,
                const std::string& order = "False") {
  std::string header = "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
  const std::size_t width = version == 1 ? 2 : 4;
  while ((8 + width + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  for (std::size_t i = 0; i < width; ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 255);
  return bytes + header + data;
}

template <class T>
std::string raw(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(std::data(values)), values.size() * sizeof(T)};
}

TEST(Npy, ReadsEveryTypeAndVersion) {
  const at::Tensor expected = at::tensor({1, 2, 3, 4, 5, 6}, at::kDouble).reshape({2, 3});
  const auto same = [&](const std::string& bytes) {
    return at::equal(npy_array(bytes, "f").to(at::kDouble), expected);
  };
  EXPECT_TRUE(same(npy("<f4", "(2, 3)", raw<float>({1, 2, 3, 4, 5, 6}))));
  EXPECT_TRUE(same(npy("<f8", "(2, 3)", raw<double>({1, 2, 3, 4, 5, 6}), 2)));
  EXPECT_TRUE(same(npy("|u1", "(2, 3)", raw<std::uint8_t>({1, 2, 3, 4, 5, 6}), 3)));
  EXPECT_TRUE(same(npy("<i4", "(2, 3)", raw<std::int32_t>({1, 2, 3, 4, 5, 6}))));
  EXPECT_TRUE(same(npy("<i8", "(2, 3)", raw<std::int64_t>({1, 2, 3, 4, 5, 6}))));
  EXPECT_EQ(npy_array(npy("<f4", "(2,)", raw<float>({1, 2})), "f").sizes(), at::IntArrayRef{2});
}

TEST(Npy, RefusesWhatItCannotRead) {
  const std::string two = raw<float>({1, 2});
  const auto message = [](const std::string& bytes) { return refusal([&] { npy_array(bytes, "f.npy"); }); };
  EXPECT_THAT(message(npy("<f4", "(3,)", two)),
              HasSubstr("f.npy: 8 bytes follow the header, too few for the shape [3]"));
  EXPECT_THAT(message(npy("<f4", "(1,)", two)), HasSubstr("too many"));
  EXPECT_THAT(message(npy("<f4", "(4294967296, 4294967296, 4294967296)", two)), HasSubstr("too few"));
  EXPECT_THAT(message(npy("<f4", "(0, 9223372036854775807, 9)", two)), HasSubstr("too many"));
  EXPECT_THAT(message(npy("<f4", "(-2,)", two)), HasSubstr("'-2' as a size"));
  EXPECT_THAT(message(npy(">f4", "(2,)", two)), HasSubstr("type '>f4', expected '<f4'"));
  EXPECT_THAT(message(npy("<f4", "(1, 2)", two, 1, "True")), HasSubstr("Fortran order"));
  EXPECT_THAT(message("PK\x03\x04 some zip"), HasSubstr("not an NPY file"));
  EXPECT_THAT(message(npy("<f4", "(2,)", two, 9)), HasSubstr("NPY version 9"));
}

TEST(Npy, NeverCrashesOnATruncatedOrGarbledFile) {
  const std::string bytes = npy("<i4", "(2, 2)", raw<std::int32_t>({1, 2, 3, 4}), 2);
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

class NpyPair : public testing::Test {
 protected:
  void put(const std::string& x, const std::string& y) {
    write_file(folder_.path() / "x_all.npy", x);
    write_file(folder_.path() / "y_all.npy", y);
  }
  Collection read(TargetReading asked = TargetReading::automatic) {
    return read_npy(folder_.path() / "x_all.npy", asked);
  }
  std::string message() {
    return refusal([&] { read(); });
  }
  TemporaryFolder folder_;
};

TEST_F(NpyPair, BytesAreImagesAndWholeNumbersAreClasses) {
  put(npy("|u1", "(4, 2, 1)", raw<std::uint8_t>({0, 255, 1, 2, 3, 4, 5, 6})),
      npy("<i8", "(4,)", raw<std::int64_t>({5, 2, 5, 2})));
  const Collection c = read();
  EXPECT_EQ(c.train->info().input_shape, (std::vector<std::int64_t>{1, 2, 1}));
  EXPECT_THAT(c.train->info().classes, testing::ElementsAre("2", "5"));
  EXPECT_TRUE(at::equal(c.train->targets(), at::tensor({1, 0, 1, 0}, at::kLong)));
  EXPECT_TRUE(c.bytes);
  EXPECT_TRUE(at::allclose(all_inputs(*c.train)[0].flatten(), at::tensor({0.F, 1.F})));
  EXPECT_TRUE(
      at::allclose(npy_inputs(folder_.path() / "x_all.npy", c.train->info())[0].flatten(), at::tensor({0.F, 1.F})));
}

TEST_F(NpyPair, SeveralFloatTargetsAreRegression) {
  put(npy("<f8", "(3, 2)", raw<double>({1, 2, 3, 4, 5, 6})), npy("<f4", "(3, 2)", raw<float>({1, .5, 2, .5, 3, .5})));
  const Collection c = read();
  EXPECT_EQ(c.train->info().problem, ProblemKind::regression);
  EXPECT_EQ(c.train->info().outputs, 2);
  EXPECT_FALSE(c.bytes);
  EXPECT_THAT(refusal([&] { read(TargetReading::classes); }), HasSubstr("2 target columns"));
}

TEST_F(NpyPair, RefusesWhatDoesNotFitTogether) {
  put(npy("<f4", "(2, 1)", raw<float>({1, 2})), npy("<i4", "(3,)", raw<std::int32_t>({1, 2, 3})));
  EXPECT_THAT(message(), HasSubstr("y_all.npy: targets of shape [3, 1], expected [2] or [2, outputs]"));
  put(npy("<f8", "(2, 1)", raw<double>({1, 1e300})), npy("<i4", "(2,)", raw<std::int32_t>({1, 2})));
  EXPECT_THAT(message(), HasSubstr("x_all.npy: element 1 (of 2, from 0) is not a finite number"));
  std::filesystem::remove(folder_.path() / "y_all.npy");
  EXPECT_THAT(message(), HasSubstr("y_all.npy"));
  EXPECT_THAT(refusal([&] { read_npy(folder_.path() / "data.npy", TargetReading::automatic); }),
              HasSubstr("begins with x"));
}

}  // namespace
}  // namespace grapes::data
