#include "grapes/train/safetensors.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace grapes::train {
namespace {
namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class Safetensors : public ::testing::Test {
 protected:
  Safetensors() {
    std::string pattern = (fs::temp_directory_path() / "grapes-safetensors-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    file_ = folder_ / "x.safetensors";
  }
  ~Safetensors() override { fs::remove_all(folder_); }

  /// The reader's message for a file with this header and these bytes.
  std::string fault(const std::string& header, const std::string& buffer = "") {
    return fault_of(file(header, buffer));
  }
  std::string fault_of(const std::string& bytes) {
    write_file(file_, bytes);
    try {
      read_safetensors(file_);
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr(file_.string()));
      return error.what();
    }
    return "no fault";
  }
  static std::string file(const std::string& header, const std::string& buffer) {
    const std::uint64_t length = header.size();
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    return bytes + header + buffer;
  }

  fs::path folder_, file_;
};

TEST_F(Safetensors, EveryDtypeAndShapeRoundTripsBitForBit) {
  const std::vector<at::ScalarType> types = {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong,
                                             at::kInt,    at::kShort, at::kChar, at::kByte,     at::kBool};
  Tensors content;
  for (const at::ScalarType type : types) {
    const std::string name = c10::toString(type);
    const at::Tensor values = at::arange(24, at::kFloat).sub(type == at::kByte ? 0 : 12).reshape({2, 3, 4}).to(type);
    content.tensors[name] = values;
    content.tensors[name + ".transposed"] = values.transpose(0, 2);  // not contiguous
    content.tensors[name + ".scalar"] = values[1][1][1];             // 0-d
    content.tensors[name + ".empty"] = at::empty({0, 5}, type);
  }
  content.tensors["infinite"] = at::full({2}, std::numeric_limits<double>::infinity(), at::kDouble);
  content.metadata = {{"format", "test/1"}, {"quote", "\"ü\"\n"}};
  write_safetensors(file_, content);

  const Tensors back = read_safetensors(file_);
  EXPECT_EQ(back.metadata, content.metadata);
  ASSERT_EQ(back.tensors.size(), content.tensors.size());
  for (const auto& [name, tensor] : content.tensors) {
    const at::Tensor& other = back.tensors.at(name);
    EXPECT_EQ(other.scalar_type(), tensor.scalar_type()) << name;
    EXPECT_EQ(other.sizes(), tensor.sizes()) << name;
    EXPECT_TRUE(at::equal(other, tensor)) << name;
  }
}

TEST_F(Safetensors, AFileMayContainNoTensors) {
  write_safetensors(file_, {});
  EXPECT_EQ(read_file(file_), file("{}      ", ""));
  EXPECT_TRUE(read_safetensors(file_).tensors.empty());
}

TEST_F(Safetensors, WritesTheBytesOfTheFormat) {
  Tensors content;
  content.tensors["w"] = at::tensor({1.0F, -2.0F}).reshape({1, 2});
  content.tensors["b"] = at::tensor({258}, at::kShort);
  content.metadata["k"] = "v";
  write_safetensors(file_, content);
  std::string header = R"({"__metadata__":{"k":"v"},"b":{"data_offsets":[0,2],"dtype":"I16","shape":[1]},)"
                       R"("w":{"data_offsets":[2,10],"dtype":"F32","shape":[1,2]}})";
  header.append((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(read_file(file_), file(header, std::string("\x02\x01\x00\x00\x80\x3f\x00\x00\x00\xc0", 10)));
}

TEST_F(Safetensors, ReadsAFileMadeByHand) {
  // Keys in another order, a tensor stored before one that is named earlier, no padding.
  write_file(file_, file(R"({"b":{"shape":[2],"data_offsets":[4,6],"dtype":"BOOL"},)"
                         R"("a":{"dtype":"I32","shape":[],"data_offsets":[0,4]}})",
                         std::string("\xfe\xff\xff\xff\x00\x01", 6)));
  const Tensors content = read_safetensors(file_);
  EXPECT_EQ(content.tensors.at("a").item<int>(), -2);
  EXPECT_EQ(content.tensors.at("a").dim(), 0);
  EXPECT_FALSE(content.tensors.at("b")[0].item<bool>());
  EXPECT_TRUE(content.tensors.at("b")[1].item<bool>());
}

TEST_F(Safetensors, EveryTruncationIsRejected) {
  Tensors content;
  content.tensors["weight"] = at::ones({2, 3});
  content.tensors["step"] = at::tensor({7}, at::kLong);
  content.metadata["format"] = "test/1";
  write_safetensors(file_, content);
  const std::string whole = read_file(file_);
  for (std::size_t length = 0; length < whole.size(); ++length)
    EXPECT_THAT(fault_of(whole.substr(0, length)), HasSubstr("as safetensors: it ")) << length << " bytes";
  EXPECT_THAT(fault_of(whole + "x"), HasSubstr("it has 1 bytes that belong to no tensor"));
}

TEST_F(Safetensors, AHugeHeaderIsRejectedWithoutAllocatingIt) {
  EXPECT_THAT(fault_of(std::string(8, '\xff')), HasSubstr("header would have 18446744073709551615 bytes"));
  EXPECT_THAT(fault_of(std::string(8, '\0')), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(fault("[1, 2]  "), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(fault("{\"a\": }"), HasSubstr("is not valid JSON (byte 15 of the file)"));
  EXPECT_THAT(fault("{} trailing"), HasSubstr("is not valid JSON"));
  EXPECT_THAT(fault_of("\x89PNG\r\n\x1a\n and then an image"), HasSubstr("header would have"));
}

TEST_F(Safetensors, OverlapsGapsAndWrongSizesAreRejected) {
  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + first +
           R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + second + "}}";
  };
  EXPECT_EQ(fault(two("[0,2]", "[2,4]"), "1234"), "no fault");
  EXPECT_THAT(fault(two("[0,2]", "[1,3]"), "123"), HasSubstr("tensor 'b' overlaps"));
  EXPECT_THAT(fault(two("[0,2]", "[0,2]"), "12"), HasSubstr("overlaps"));
  EXPECT_THAT(fault(two("[0,2]", "[3,5]"), "12345"), HasSubstr("a gap of 1 bytes before tensor 'b'"));
  EXPECT_THAT(fault(two("[1,3]", "[3,5]"), "12345"), HasSubstr("a gap of 1 bytes before tensor 'a'"));
  EXPECT_THAT(fault(two("[0,2]", "[2,5]"), "12345"), HasSubstr("has 2 bytes by its shape and dtype, 3 by its offsets"));
  EXPECT_THAT(fault(two("[0,2]", "[4,2]"), "1234"), HasSubstr("begin <= end"));
  EXPECT_THAT(fault(two("[0,2]", "[2]"), "1234"), HasSubstr("begin <= end"));
  EXPECT_THAT(fault(two("[0,2]", "[-2,0]"), "1234"), HasSubstr("whole numbers >= 0"));
  EXPECT_THAT(fault(two("[0,2]", "[2,4.0]"), "1234"), HasSubstr("whole numbers >= 0"));
}

TEST_F(Safetensors, ErrorsNameInvalidFields) {
  EXPECT_THAT(fault(R"({"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})", "1"),
              AllOf(HasSubstr("tensor 'a' has the dtype 'F8_E4M3'"), HasSubstr("BF16")));
  EXPECT_THAT(fault(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", "1"), HasSubstr("tensor 'a' has no field 'dtype'"));
  EXPECT_THAT(fault(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", "1"), HasSubstr("has no field 'shape'"));
  EXPECT_THAT(fault(R"({"a":{"dtype":"U8","shape":[1],"offsets":[0,1]}})", "1"), HasSubstr("unknown field 'offsets'"));
  EXPECT_THAT(fault(R"({"a":7})"), HasSubstr("entry of tensor 'a' is not an object"));
  EXPECT_THAT(fault(R"({"__metadata__":{"epoch":3}})"), HasSubstr("__metadata__.epoch must be a string"));
  EXPECT_THAT(fault(R"({"__metadata__":[]})"), HasSubstr("__metadata__ must be an object"));
  EXPECT_THAT(fault(R"({"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})", "\x02"),
              HasSubstr("neither 0 nor 1"));
  EXPECT_THAT(fault(R"({"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]}})"),
              HasSubstr("too large"));
}

TEST_F(Safetensors, ADuplicateKeyIsAnErrorAtEveryDepth) {
  const std::string one = R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  EXPECT_THAT(fault(R"({"a":)" + one + R"(,"a":)" + one + "}", "1"), HasSubstr("has the key 'a' twice"));
  EXPECT_THAT(fault(R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", "1"),
              HasSubstr("has the key 'dtype' twice"));
  EXPECT_THAT(fault(R"({"__metadata__":{"k":"1","k":"2"}})"), HasSubstr("has the key 'k' twice"));
}

TEST_F(Safetensors, MissingFilesAndInvalidTensorsAreErrors) {
  EXPECT_THROW(read_safetensors(folder_ / "none.safetensors"), DataError);
  Tensors content;
  content.tensors["c"] = at::zeros({1}, at::kComplexFloat);
  EXPECT_THROW(write_safetensors(file_, content), DataError);
  content.tensors = {{"__metadata__", at::zeros({1})}};
  EXPECT_THROW(write_safetensors(file_, content), DataError);
  content.tensors = {{"\xff", at::zeros({1})}};
  EXPECT_THROW(write_safetensors(file_, content), DataError);
  content.tensors = {{"undefined", at::Tensor()}};
  EXPECT_THROW(write_safetensors(file_, content), DataError);
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(Safetensors, PythonReadsWhatWeWriteWithAFewLines) {
  if (std::system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") != 0)
    GTEST_SKIP() << "python3 with numpy is missing";
  Tensors content;
  content.tensors["weight"] = at::arange(6, at::kFloat).reshape({2, 3}).mul(0.1);
  content.tensors["labels"] = at::tensor({3, -1}, at::kLong);
  content.metadata["format"] = "test/1";
  write_safetensors(file_, content);
  const fs::path script = folder_ / "read.py";
  write_file(script, R"(import json, struct, sys
import numpy
with open(sys.argv[1], "rb") as f:
    header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    buffer = f.read()
types = {"F32": "<f4", "I64": "<i8"}
def tensor(name):
    entry = header[name]
    begin, end = entry["data_offsets"]
    return numpy.frombuffer(buffer[begin:end], types[entry["dtype"]]).reshape(entry["shape"])
assert header["__metadata__"] == {"format": "test/1"}
assert (tensor("weight") == numpy.arange(6, dtype="f4").reshape(2, 3) * numpy.float32(0.1)).all()
assert tensor("labels").tolist() == [3, -1]
assert len(buffer) == 6 * 4 + 2 * 8
)");
  EXPECT_EQ(std::system(("/usr/bin/python3 " + script.string() + " " + file_.string()).c_str()), 0);
}

}  // namespace
}  // namespace grapes::train
