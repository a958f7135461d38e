#pragma once

#include "grapes/exchange/onnx_layer.h"
#include "grapes/kernels/number_format.h"
#include "grapes/onnx/graph.h"

#include <ATen/core/Tensor.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace grapes::exchange {

struct OnnxConvolution {
  OnnxLayer layer;
  std::int64_t stride, padding;
};

/// The nodes and constants of a graph, and what single nodes mean. Identity and Dropout are left out: a value has the
/// name of the one that they take. All methods throw DataError with the file, the node and its operator.
class OnnxNodes {
 public:
  using Node = onnx::Node;
  OnnxNodes(const onnx::Graph& graph, const std::string& file);

  const onnx::Value& input() const { return *input_; }  ///< the only one that is not a constant
  std::string output() const;                           ///< name of the only one
  std::string out(const Node& node) const { return node.outputs.at(0); }
  const std::vector<const Node*>& users(const std::string& value) const;

  std::string name(const Node& node) const;   ///< "'fc1' (Gemm)"
  std::string where(const Node& node) const;  ///< "net.onnx: node 'fc1' (Gemm)"
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void fail(const Node& node, const std::string& what) const;
  [[noreturn]] void refuse(const Node& node) const;  ///< an operator that Grapes has no layer for

  std::int64_t integer(const Node& node, const std::string& name, std::int64_t otherwise) const;
  double real(const Node& node, const std::string& name, double otherwise) const;

  at::Tensor constant(const Node& node, std::size_t input) const;
  at::Tensor other_operand(const Node& node, const std::string& value) const;  ///< the constant of a sum or product
  bool is_sum(const Node& node) const;                                         ///< of two values, none a constant
  void require_first(const Node& node, const std::string& value) const;        ///< as the first input of the node
  /// Returns a constant as [units]. @param axes  of the value [batch, units, ...] that [units], [1, units], a single
  ///   number, ... broadcasts to; 1: it must be [units]
  at::Tensor per_unit(const Node& node, const at::Tensor& c, std::int64_t units, std::int64_t axes) const;

  OnnxLayer dense(const Node& node) const;
  OnnxConvolution convolution(const Node& node) const;
  std::int64_t window(const Node& node) const;     ///< side of a pooling whose windows do not overlap
  void require_map_axes(const Node& node) const;   ///< reduces rows and columns
  void require_flat(const Node& node) const;       ///< gives [batch, values]
  std::string activation(const Node& node) const;  ///< a name in nn::activations(), or ""
  /// The Tanh between two products with the constants of scaled_tanh, or null. @param c  the constant of `node`
  const Node* scaled_tanh(const Node& node, const at::Tensor& c) const;
  /// Whether this Mul and the Add of a constant after it are the scale of the targets.
  bool is_last_scale(const Node& node) const;

  bool rounds(const Node& node) const;                   ///< is a Quant or FloatQuant
  kernels::NumberFormat format(const Node& node) const;  ///< of one that rounds inputs

 private:
  std::string file_;
  std::map<std::string, at::Tensor> constants_;
  struct Rounded {
    at::Tensor given;
    const Node* by;
  };
  std::map<std::string, Rounded> rounded_;   // the constants that nodes give, before rounding
  std::map<std::string, std::string> same_;  // output of an Identity -> its input
  std::map<std::string, std::vector<const Node*>> users_;
  std::map<std::string, const Node*> made_by_;
  std::set<std::string> known_ = {""};  // values of the nodes so far; an input that is not given has an empty name
  const onnx::Value* input_ = nullptr;
  std::string output_;

  const std::string& resolved(const std::string& value) const;
  bool is_constant(const std::string& value) const { return constants_.contains(value); }
  void define(const std::string& value);
  void add(const Node& node);
  void add_constant(const Node& node);
  template <class T>
  T attribute(const Node& node, const std::string& name, T otherwise, const char* expected) const;
  std::vector<std::int64_t> integers(const Node& node, const std::string& name,
                                     std::vector<std::int64_t> otherwise) const;
  std::string word(const Node& node, const std::string& name, const std::string& otherwise) const;
  static bool has_input(const Node& node, std::size_t input);
  /// @param axes  of its weights @param expected  these axes in words @param transposed  the weights are [input, unit]
  OnnxLayer layer(const Node& node, std::int64_t axes, const char* expected, bool transposed = false) const;
  std::vector<std::int64_t> axes(const Node& node) const;
  std::int64_t square(const Node& node, const std::string& what, const std::vector<std::int64_t>& sides,
                      std::int64_t least, std::size_t count = 2) const;

  struct Steps {
    at::Tensor step;  // float64, [] or broadcasting over the value
    int bits;
    bool narrow;  // without the lowest number
  };
  double one_number(const Node& node, std::size_t input) const;
  void require_nearest(const Node& node) const;
  Steps steps(const Node& node) const;
  void round_constant(const Node& node);
  /// The format with which Grapes rounds W as the node does. @param rounded  what the node makes of W
  kernels::NumberFormat weight_format(const Node& node, const at::Tensor& W, const at::Tensor& rounded) const;
};

}  // namespace grapes::exchange
