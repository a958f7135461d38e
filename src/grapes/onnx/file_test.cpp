#include "grapes/onnx/file.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <string>

namespace grapes::onnx {
namespace {

using testing::HasSubstr;

class OnnxFile : public testing::Test {
 protected:
  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("grapes-onnx-" + std::to_string(::getpid()));
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path file(const std::string& name = "net.onnx") const { return folder_ / name; }

  /// Writes bytes, reads them as a model, and returns the message of the error.
  std::string refusal(const std::string& bytes) const {
    write_file(file("bad.onnx"), bytes);
    try {
      read(file("bad.onnx"));
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("bad.onnx"));
      return error.what();
    }
    return "nothing was refused";
  }
};

/// A field of a protocol buffer, by hand: key, length, bytes. Only for numbers below 128.
std::string field(int number, const std::string& bytes) {
  return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(bytes.size()) + bytes;
}
std::string field(int number, int value) {
  return std::string(1, static_cast<char>(number << 3)) + static_cast<char>(value);
}
std::string bytes_of(float value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}
/// A model with one tensor: ir_version = 1, graph = 7, initializer = 5.
std::string model_with(const std::string& tensor) { return field(1, 8) + field(7, field(5, tensor)); }

Model example() {
  Model model;
  model.producer = "grapes";
  model.producer_version = "1.2";
  model.operators = {{"", 13}, {"qonnx.custom_op.general", 1}};
  model.metadata = {{"config", "a = 1\n"}, {"dataset", "{}"}};
  Graph& graph = model.graph;
  graph.name = "net";
  graph.inputs = {{"x", {-1, 3}}};
  graph.outputs = {{"y", {-1, 2}}};
  graph.initializers = {{"w", {2, 3}, std::vector<float>{1, -2, 3.5F, 4, 5, 6}},
                        {"twice", {1}, std::vector<double>{0.1}},
                        {"size", {2}, std::vector<std::int64_t>{-1, 1LL << 40}},
                        {"one", {}, std::vector<float>{7}},
                        {"none", {0}, std::vector<float>{}}};
  graph.nodes = {{"fc", "Gemm", "", {"x", "w", ""}, {"h"}, {{"transB", std::int64_t{1}}, {"alpha", 0.5F}}},
                 {"q",
                  "Quant",
                  "qonnx.custom_op.general",
                  {"h"},
                  {"y"},
                  {{"rounding_mode", std::string("ROUND")},
                   {"ints", std::vector<std::int64_t>{1, -2}},
                   {"floats", std::vector<float>{0.5F}},
                   {"value", Tensor{"t", {1}, std::vector<float>{2}}}}}};
  return model;
}

TEST_F(OnnxFile, WhatIsWrittenIsRead) {
  write(file(), example());
  const Model back = read(file());
  EXPECT_EQ(back.format, 7);
  EXPECT_EQ(back.operators, example().operators);
  EXPECT_EQ(back.metadata, example().metadata);
  EXPECT_EQ(back.graph.nodes, example().graph.nodes);
  EXPECT_EQ(back.graph.initializers, example().graph.initializers);
  EXPECT_EQ(back, example());
}

TEST_F(OnnxFile, NumbersMayLieInEveryField) {
  // dims = 1, data_type = 2, float_data = 4, int32_data = 5, name = 8, raw_data = 9
  const std::string floats = field(1, 2) + field(2, 1) + field(4, bytes_of(1.5F) + bytes_of(-2)) + field(8, "a");
  const std::string ints = field(1, 2) + field(2, 6) + field(5, std::string("\x05\x07")) + field(8, "b");
  const std::string bytes = field(1, 2) + field(2, 3) + field(9, std::string("\x01\xff")) + field(8, "c");
  write_file(file(), field(1, 8) + field(7, field(5, floats) + field(5, ints) + field(5, bytes)));
  const Model model = read(file());
  ASSERT_EQ(model.graph.initializers.size(), 3U);
  EXPECT_EQ(model.graph.initializers[0], (Tensor{"a", {2}, std::vector<float>{1.5F, -2}}));
  EXPECT_EQ(model.graph.initializers[1], (Tensor{"b", {2}, std::vector<std::int64_t>{5, 7}}));
  EXPECT_EQ(model.graph.initializers[2], (Tensor{"c", {2}, std::vector<std::int64_t>{1, -1}}));
}

TEST_F(OnnxFile, TensorsMayLieInAnotherFile) {
  // external_data = 13 with the entries location, offset and length; data_location = 14 is 1
  const auto outside = [](const std::string& place, const std::string& offset) {
    return model_with(field(1, 1) + field(2, 1) + field(8, "w") + field(13, field(1, "location") + field(2, place)) +
                      field(13, field(1, "offset") + field(2, offset)) + field(13, field(1, "length") + field(2, "4")) +
                      field(14, 1));
  };
  write_file(file("net.data"), bytes_of(3) + bytes_of(4.5F));
  write_file(file(), outside("net.data", "4"));
  EXPECT_EQ(read(file()).graph.initializers.at(0), (Tensor{"w", {1}, std::vector<float>{4.5F}}));
  EXPECT_THAT(refusal(outside("net.data", "5")), HasSubstr("needs bytes 5 to 9"));
  EXPECT_THAT(refusal(outside("net.data", "-1")), HasSubstr("expected a number of bytes"));
  EXPECT_THAT(refusal(outside("../net.data", "0")), HasSubstr("expected a file in the folder of the model"));
  EXPECT_THAT(refusal(outside("/etc/passwd", "0")), HasSubstr("expected a file in the folder of the model"));
}

TEST_F(OnnxFile, DamageIsRefused) {
  EXPECT_THAT(refusal(""), HasSubstr("not an ONNX model"));
  EXPECT_THAT(refusal("PK\x03\x04 something else"), HasSubstr("not an ONNX model"));
  EXPECT_THAT(refusal(model_with(field(1, 3) + field(2, 1) + field(8, "w") + field(9, bytes_of(1)))),
              HasSubstr("tensor 'w' of shape [3] has 4 bytes; expected 12"));
  EXPECT_THAT(refusal(model_with(field(1, 2) + field(2, 1) + field(8, "w") + field(4, bytes_of(1)))),
              HasSubstr("tensor 'w' of shape [2] has 1 numbers; expected 2"));
  EXPECT_THAT(refusal(model_with(field(2, 8) + field(8, "w"))), HasSubstr("tensor 'w' has the element type 8"));
}

TEST_F(OnnxFile, AFieldOfAnotherWireTypeIsRefused) {
  const std::string format = field(1, 8);
  EXPECT_THAT(refusal(field(1, "8") + field(7, "")), HasSubstr("wire type"));                          // ir_version
  EXPECT_THAT(refusal(format + field(7, 1)), HasSubstr("wire type"));                                  // graph
  EXPECT_THAT(refusal(format + field(2, 1) + field(7, "")), HasSubstr("wire type"));                   // producer_name
  EXPECT_THAT(refusal(format + field(7, field(1, field(4, 7)))), HasSubstr("wire type"));              // node's op_type
  EXPECT_THAT(refusal(format + field(7, field(1, field(1, 7)))), HasSubstr("wire type"));              // node's input
  EXPECT_THAT(refusal(format + field(7, field(1, field(5, field(2, 1))))), HasSubstr("wire type"));    // f of attribute
  EXPECT_THAT(refusal(format + field(7, field(1, field(5, field(3, "a"))))), HasSubstr("wire type"));  // i of attribute
  EXPECT_THAT(refusal(model_with(field(1, 1) + field(2, 1) + field(4, 3))), HasSubstr("wire type"));   // float_data
  EXPECT_THAT(refusal(model_with(field(1, 1) + field(2, 1) + field(9, 3))), HasSubstr("wire type"));   // raw_data
}

TEST_F(OnnxFile, TheTypeOfAnAttributeFitsItsValue) {
  // name = 1, f = 2 (a 32-bit field), i = 3, type = 20, whose key has two bytes
  const auto model = [](const std::string& attribute) {
    return field(1, 8) + field(7, field(1, field(3, "fc") + field(5, attribute)));
  };
  const auto type = [](char number) { return std::string("\xa0\x01") + number; };
  const std::string f = field(1, "alpha") + "\x15" + bytes_of(0.5F);
  EXPECT_THAT(refusal(model(f + type(5))), HasSubstr("attribute 'alpha' of node 'fc' has the type 5"));
  EXPECT_THAT(refusal(field(1, 8) + field(7, field(1, field(3, "fc") + field(5, f) + field(5, f)))),
              HasSubstr("'alpha' twice"));
  write_file(file(), model(f));  // the first version has no types
  EXPECT_EQ(read(file()).graph.nodes.at(0).attributes.at("alpha"), Attribute(0.5F));
  write_file(file(), model(field(1, "alpha") + type(1)));  // proto3 leaves out 0
  EXPECT_EQ(read(file()).graph.nodes.at(0).attributes.at("alpha"), Attribute(0.0F));
}

/// Reads bytes as a model. @return whether it was read, not refused
bool is_read(const std::filesystem::path& file, const std::string& bytes, Model& model) {
  write_file(file, bytes);
  try {
    model = read(file);
  } catch (const DataError&) {
    return false;
  }
  return true;
}

TEST_F(OnnxFile, EveryBeginningOfAFileIsRefusedOrLacksFields) {
  write(file(), example());
  const std::string whole = read_file(file());
  Model part;
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(is_read(file("part.onnx"), whole.substr(0, size), part) && part == example()) << size;
}

TEST_F(OnnxFile, EveryWrongBitIsRefusedOrReadAsAnotherModel) {
  write(file(), example());
  const std::string whole = read_file(file());
  std::size_t refused = 0, same = 0;
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string wrong = whole;
    wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << bit % 8));
    Model model;
    if (!is_read(file("wrong.onnx"), wrong, model))
      ++refused;
    else if (model == example())
      ++same;
  }
  EXPECT_GT(refused, whole.size());
  // The model does not contain the types and the names of axes of inputs and outputs.
  EXPECT_LT(same, 8 * whole.size() / 20);
}

}  // namespace
}  // namespace grapes::onnx
