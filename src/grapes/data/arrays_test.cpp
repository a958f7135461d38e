#include "grapes/data/arrays.h"

#include "grapes/base/hdf5.h"
#include "grapes/data/idx.h"
#include "grapes/data/npy.h"
#include "grapes/data/open.h"
#include "grapes/data/picture.h"
#include "grapes/data/test_files.h"
#include "grapes/data/zip.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <matio.h>

#include <cmath>
#include <filesystem>
#include <typeinfo>

namespace grapes::data {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class Arrays : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& bytes) { write_file(folder_.path() / name, bytes); }
  Collection read(const std::string& name, TargetReading asked = TargetReading::automatic) {
    return read_arrays(folder_.path() / name, asked);
  }
  std::string message(const std::string& name, TargetReading asked = TargetReading::automatic) {
    return refusal([&] { read(name, asked); });
  }
  TemporaryFolder folder_;
};

TEST_F(Arrays, BytesAreImagesAndWholeNumbersAreClasses) {
  put("x_all.npy", npy_file("|u1", "(4, 2, 1)", raw<std::uint8_t>({0, 255, 1, 2, 3, 4, 5, 6})));
  put("y_all.npy", npy_file("<i8", "(4,)", raw<std::int64_t>({5, 2, 5, 2})));
  const Collection c = read("x_all.npy");
  EXPECT_EQ(c.train->info().input_shape, (std::vector<std::int64_t>{1, 2, 1}));
  EXPECT_THAT(c.train->info().classes, ElementsAre("2", "5"));
  EXPECT_TRUE(at::equal(c.train->targets(), at::tensor({1, 0, 1, 0}, at::kLong)));
  EXPECT_TRUE(c.bytes);
  EXPECT_TRUE(at::allclose(all_inputs(*c.train)[0].flatten(), at::tensor({0.F, 1.F})));
  EXPECT_TRUE(
      at::allclose(read_inputs((folder_.path() / "x_all.npy").string(), c.train->info(), {}, nullptr)[0].flatten(),
                   at::tensor({0.F, 1.F})));
}

TEST_F(Arrays, IdxFilesAreReadByTheirNamesWithTheirLabelsAndTestSet) {
  put("train-images-idx3-ubyte", idx_images_file(6, 2, 3));
  put("train-labels-idx1-ubyte", idx_labels_file(6));
  put("t10k-images-idx3-ubyte.gz", gzip(idx_images_file(2, 2, 3)));
  const Collection alone = read("train-images-idx3-ubyte");
  EXPECT_FALSE(alone.test);
  put("t10k-images-idx3-ubyte", idx_images_file(2, 2, 3));
  put("t10k-labels-idx1-ubyte", idx_labels_file(2));
  const Collection c = read("train-images-idx3-ubyte", TargetReading::classes);
  EXPECT_EQ(c.train->info().input_shape, (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_EQ(c.train->size(), 6);
  EXPECT_EQ(c.test->size(), 2);
  EXPECT_TRUE(c.bytes);
  const std::string path = (folder_.path() / "t10k-images-idx3-ubyte.gz").string();
  EXPECT_TRUE(at::allclose(read_inputs(path, c.train->info(), {}, nullptr), all_inputs(*c.test)));
}

TEST_F(Arrays, ExamplesThatAreReadAheadAreTheSame) {
  std::vector<float> values(3000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  put("x.npy", npy_file("<f4", "(10, 300)",
                        std::string(reinterpret_cast<const char*>(values.data()), sizeof(float) * values.size())));
  put("y.npy", npy_file("<i4", "(10,)", raw<std::int32_t>({0, 1, 0, 1, 0, 1, 0, 1, 0, 1})));
  const DatasetPtr large = read_arrays(folder_.path() / "x.npy", TargetReading::classes, 0).train;
  const DatasetPtr small = read("x.npy", TargetReading::classes).train;
  const at::Tensor rows = at::tensor({9, 0, 4, 4}, at::kLong);
  EXPECT_NE(typeid(*large), typeid(*small));
  EXPECT_TRUE(at::equal(large->get(rows).inputs, small->get(rows).inputs));
  EXPECT_TRUE(at::equal(large->get(rows).targets, small->get(rows).targets));
}

TEST_F(Arrays, IdxFilesMayHaveAnyTypeAndShape) {
  const std::string sizes = big_endian(2) + big_endian(3);
  const std::string floats = big_endian(0x3f800000) + big_endian(0xc0000000) + std::string(16, '\0');  // 1, -2, 0 ...
  put("x.idx", std::string("\0\0\x0d\x02", 4) + sizes + floats);
  put("y.idx", std::string("\0\0\x0b\x01", 4) + big_endian(2) + std::string("\xff\xfe\0\x05", 4));  // -2, 5
  const Collection c = read("x.idx", TargetReading::classes);
  EXPECT_TRUE(at::equal(all_inputs(*c.train)[0], at::tensor({1.F, -2.F, 0.F})));
  EXPECT_THAT(c.train->info().classes, ElementsAre("-2", "5"));
  put("x.idx", std::string("\0\0\x0d\x02", 4) + sizes + floats.substr(1));
  EXPECT_THAT(message("x.idx"), HasSubstr("x.idx: the header says 2 records of 12 bytes, but 23 bytes follow it"));
  put("x.idx", std::string("\0\0\x07\x01", 4) + sizes);
  EXPECT_THAT(message("x.idx"), HasSubstr("x.idx: not an IDX file"));
  const std::string huge(4, '\xff');
  put("x.idx", std::string("\0\0\x0e\x04", 4) + huge + huge + huge + huge);
  EXPECT_THAT(message("x.idx"), HasSubstr("larger than any file"));
}

TEST_F(Arrays, SeveralFloatTargetsAreRegression) {
  put("X.npy", npy_file("<f8", "(3, 2)", raw<double>({1, 2, 3, 4, 5, 6})));
  put("Y.npy", npy_file("<f4", "(3, 2)", raw<float>({1, .5, 2, .5, 3, .5})));
  const Collection c = read("X.npy");
  EXPECT_EQ(c.train->info().problem, ProblemKind::regression);
  EXPECT_EQ(c.train->info().outputs, 2);
  EXPECT_FALSE(c.bytes);
  EXPECT_THAT(message("X.npy", TargetReading::classes), HasSubstr("2 target columns"));
}

TEST_F(Arrays, BooleansAreZeroAndOneAndOneHotTargetsAreClasses) {
  put("my-X.npy", npy_file("|b1", "(3, 2)", raw<bool>({true, false, true, true, false, false})));
  put("my-y.npy", npy_file("<f4", "(3, 3)", raw<float>({0, 1, 0, 1, 0, 0, 0, 0, 1})));
  const Collection c = read("my-X.npy");
  EXPECT_TRUE(at::equal(all_inputs(*c.train), at::tensor({1.F, 0.F, 1.F, 1.F, 0.F, 0.F}).reshape({3, 2})));
  EXPECT_TRUE(at::equal(c.train->targets(), at::tensor({1, 0, 2}, at::kLong)));
  EXPECT_THAT(c.train->info().classes, ElementsAre("0", "1", "2"));
  EXPECT_THAT(c.notes, Contains(HasSubstr("one-hot: read as 3 classes")));
  EXPECT_EQ(read("my-X.npy", TargetReading::numbers).train->info().outputs, 3);
  EXPECT_EQ(read("my-X.npy", TargetReading::numbers).train->info().problem, ProblemKind::regression);
}

TEST_F(Arrays, StringsAreClasses) {
  put("x.npy", npy_file("<f2", "(2, 1)", std::string("\x00\x3c\x00\xc0", 4)));  // 1 and -2
  put("y.npy", npy_file("<U3", "(2,)", raw<std::int32_t>({'o', 'a', 'k', 0xe4, 0x1f333, 0})));
  const Collection c = read("x.npy");
  EXPECT_THAT(c.train->info().classes, ElementsAre("oak", "ä🌳"));
  EXPECT_TRUE(at::equal(all_inputs(*c.train).flatten(), at::tensor({1.F, -2.F})));
  put("y.npy", npy_file("|S2", "(2,)", std::string("a\0bc", 4)));
  EXPECT_THAT(read("x.npy").train->info().classes, ElementsAre("a", "bc"));
}

TEST_F(Arrays, TrainingAndTestArraysAreFoundByTheirNames) {
  const std::string images = npy_file("|u1", "(2, 5, 5, 3)", std::string(150, '\7'));
  const auto labels = [](std::initializer_list<std::int64_t> values) {
    return npy_file("<i8", "(2,)", raw<std::int64_t>(values));
  };
  put("x_train.npy", images);
  put("y_train.npy", labels({0, 1}));
  EXPECT_FALSE(read("x_train.npy").test);
  put("x_test.npy", images);
  put("y_test.npy", labels({7, 1}));
  put("data.npz", zip_file({{"train_images.npy", images},
                            {"train_labels.npy", labels({0, 1})},
                            {"testX.npy", images},
                            {"testY.npy", labels({7, 1})},
                            {"comment.npy", labels({0, 0})}}));
  for (const char* name : {"x_train.npy", "data.npz"}) {
    const Collection c = read(name, TargetReading::classes);
    EXPECT_EQ(c.train->info().input_shape, (std::vector<std::int64_t>{3, 5, 5}));
    EXPECT_TRUE(at::equal(c.train->targets(), at::tensor({0, 1}, at::kLong)));
    EXPECT_TRUE(at::equal(c.test->targets(), at::tensor({2, 1}, at::kLong)));
    EXPECT_EQ(c.test->info().outputs, 3);
    EXPECT_THAT(c.notes, Contains(HasSubstr("3 channels last")));
  }
  put("both.npz", zip_file({{"X.npy", images}, {"data.npy", images}, {"y.npy", labels({0, 1})}}));
  EXPECT_THAT(message("both.npz"),
              HasSubstr("data: is of the same part and role as " + (folder_.path() / "both.npz").string() + ", X"));
  put("sklearn.npz", zip_file({{"data.npy", images}, {"target.npy", labels({0, 1})}, {"target_names.npy", images}}));
  EXPECT_EQ(read("sklearn.npz").train->targets().size(0), 2);
  put("none.npz", zip_file({{"weights.npy", images}}));
  EXPECT_THAT(message("none.npz"), HasSubstr("its arrays are weights; expected x_train"));
  put("half.npz", zip_file({{"X.npy", images}}));
  EXPECT_THAT(message("half.npz"), HasSubstr("has no targets"));
}

TEST_F(Arrays, ArraysThatDoNotFitTogetherAreErrors) {
  put("x_all.npy", npy_file("<f4", "(2, 1)", raw<float>({1, 2})));
  put("y_all.npy", npy_file("<i4", "(3,)", raw<std::int32_t>({1, 2, 3})));
  EXPECT_THAT(message("x_all.npy"), HasSubstr("y_all.npy: 3 targets, expected 2, one per example of"));
  put("x_all.npy", npy_file("<f8", "(2, 1)", raw<double>({1, 1e300})));
  put("y_all.npy", npy_file("<i4", "(2,)", raw<std::int32_t>({1, 2})));
  EXPECT_THAT(message("x_all.npy"), HasSubstr("x_all.npy: element 1 (of 2, from 0) is not a finite number"));
  std::filesystem::remove(folder_.path() / "y_all.npy");
  EXPECT_THAT(message("x_all.npy"), HasSubstr("no file of targets beside it; expected a file with y in place of x"));
}

/// Writes a file of MATLAB.
class MatFile {
 public:
  explicit MatFile(const std::string& path, mat_ft version = MAT_FT_MAT5)
      : mat_(Mat_CreateVer(path.c_str(), nullptr, version)), version_(version) {}
  ~MatFile() { Mat_Close(mat_); }
  MatFile(const MatFile&) = delete;
  MatFile& operator=(const MatFile&) = delete;
  void add(const char* name, matio_classes kind, matio_types type, std::vector<std::size_t> shape, const void* data) {
    matvar_t* variable =
        Mat_VarCreate(name, kind, type, static_cast<int>(shape.size()), shape.data(), const_cast<void*>(data), 0);
    EXPECT_EQ(Mat_VarWrite(mat_, variable, version_ == MAT_FT_MAT4 ? MAT_COMPRESSION_NONE : MAT_COMPRESSION_ZLIB), 0);
    Mat_VarFree(variable);
  }

 private:
  mat_t* mat_;
  const mat_ft version_;
};

TEST_F(Arrays, MatlabFilesMayHaveExamplesInTheFirstOrLastDimension) {
  const std::string path = (folder_.path() / "a.mat").string();
  const std::vector<double> x = {1, 2, 3, 4, 5, 6}, y = {7, 9, 7};  // columns (1 2 3) and (4 5 6)
  for (const mat_ft version : {MAT_FT_MAT4, MAT_FT_MAT5, MAT_FT_MAT73}) {
    {
      MatFile mat(path, version);
      mat.add("X", MAT_C_DOUBLE, MAT_T_DOUBLE, {3, 2}, x.data());
      mat.add("y", MAT_C_DOUBLE, MAT_T_DOUBLE, {1, 3}, y.data());
    }
    const Collection c = read("a.mat", TargetReading::classes);
    EXPECT_TRUE(at::equal(all_inputs(*c.train), at::tensor({1.F, 4.F, 2.F, 5.F, 3.F, 6.F}).reshape({3, 2}))) << version;
    EXPECT_TRUE(at::equal(c.train->targets(), at::tensor({0, 1, 0}, at::kLong))) << version;
  }
  std::string pixels(5 * 6 * 3 * 2, '\0');
  pixels[0] = '\xff';                 // example 0, row 0, column 0, channel 0
  pixels[5 * 6 * 3 + 5 * 6 + 1] = 1;  // example 1, row 1, column 0, channel 1
  {
    MatFile mat(path);
    mat.add("X", MAT_C_UINT8, MAT_T_UINT8, {5, 6, 3, 2}, pixels.data());
    mat.add("y", MAT_C_CHAR, MAT_T_UINT8, {2, 3}, "dcoagt");
  }
  const Collection images = read("a.mat");
  EXPECT_EQ(images.train->info().input_shape, (std::vector<std::int64_t>{3, 5, 6}));
  EXPECT_THAT(images.train->info().classes, ElementsAre("cat", "dog"));
  EXPECT_TRUE(
      at::equal(all_inputs(*images.train).nonzero(), at::tensor({0, 0, 0, 0, 1, 1, 1, 0}, at::kLong).reshape({2, 4})));
  write_file(path, "no file of MATLAB");
  EXPECT_THAT(message("a.mat"), HasSubstr("a.mat: not a file of MATLAB"));
}

TEST_F(Arrays, AMatlabFileThatIsCutOffIsRefused) {
  const std::string path = (folder_.path() / "a.mat").string();
  std::vector<double> x(600), y(200);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<double>(i));
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = static_cast<double>(i % 3);
  for (const mat_ft version : {MAT_FT_MAT4, MAT_FT_MAT5, MAT_FT_MAT73}) {
    {
      MatFile mat(path, version);
      mat.add("X", MAT_C_DOUBLE, MAT_T_DOUBLE, {200, 3}, x.data());
      mat.add("y", MAT_C_DOUBLE, MAT_T_DOUBLE, {200, 1}, y.data());
    }
    const std::uintmax_t whole = std::filesystem::file_size(path);
    for (const std::uintmax_t missing : {std::uintmax_t{7}, std::uintmax_t{50}, whole / 2, whole - 10, whole}) {
      std::filesystem::resize_file(path, whole - missing);  // each is shorter than the one before
      EXPECT_THAT(message("a.mat"), HasSubstr("a.mat")) << version << " without " << missing;
    }
  }
}

/// The names of classes end with a zero byte in MATLAB's files, but not in those that h5py writes.
TEST_F(Arrays, MatlabFilesMayBeWrittenByH5py) {
  const std::string path = (folder_.path() / "a.mat").string();
  const std::vector<double> x = {1, 2, 3, 4, 5, 6}, y = {7, 9, 7};
  {
    MatFile mat(path, MAT_FT_MAT73);
    mat.add("X", MAT_C_DOUBLE, MAT_T_DOUBLE, {3, 2}, x.data());
    mat.add("y", MAT_C_DOUBLE, MAT_T_DOUBLE, {1, 3}, y.data());
  }
  {
    using hdf5::Object;
    const Object file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose, "the file");
    const Object type(H5Tcopy(H5T_C_S1), H5Tclose, "a type"), one(H5Screate(H5S_SCALAR), H5Sclose, "a shape");
    ASSERT_TRUE(H5Tset_size(type, 6) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0);
    for (const char* name : {"X", "y"}) {
      ASSERT_GE(H5Adelete_by_name(file, name, "MATLAB_class", H5P_DEFAULT), 0);
      const Object set(H5Dopen2(file, name, H5P_DEFAULT), H5Dclose, "an array");
      const Object kind(H5Acreate2(set, "MATLAB_class", type, one, H5P_DEFAULT, H5P_DEFAULT), H5Aclose, "a class");
      ASSERT_GE(H5Awrite(kind, type, "double"), 0);
    }
  }
  const Collection c = read("a.mat", TargetReading::classes);
  EXPECT_TRUE(at::equal(all_inputs(*c.train), at::tensor({1.F, 4.F, 2.F, 5.F, 3.F, 6.F}).reshape({3, 2})));
  EXPECT_TRUE(at::equal(c.train->targets(), at::tensor({0, 1, 0}, at::kLong)));
}

TEST(Zip, NeverCrashesOnATruncatedOrGarbledArchive) {
  const std::string bytes = zip_file({{"a", "some text"}, {"b", std::string(1000, 'x')}});
  const auto entries = zip_entries(bytes, "f.zip");
  EXPECT_EQ(unzip(entries.at("a"), "f.zip", "a"), "some text");
  EXPECT_EQ(unzip(entries.at("b"), "f.zip", "b"), std::string(1000, 'x'));
  EXPECT_TRUE(entries.at("b").deflated);
  for (std::size_t n = 0; n < bytes.size(); ++n)
    for (const std::string& broken : {bytes.substr(0, n), bytes.substr(0, n) + '\xff' + bytes.substr(n + 1)}) {
      try {
        for (const auto& [name, entry] : zip_entries(broken, "f.zip")) unzip(entry, "f.zip", name);
      } catch (const DataError& error) {
        EXPECT_THAT(error.what(), HasSubstr("f.zip"));
      }
    }
}

}  // namespace
}  // namespace grapes::data
