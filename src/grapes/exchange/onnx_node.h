#pragma once

#include "grapes/kernels/number_format.h"
#include "grapes/onnx/graph.h"

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace grapes::exchange {

struct OnnxConvolution {
  at::Tensor weight, bias;
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

  std::string name(const Node& node) const;  ///< "'fc1' (Gemm)"
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void fail(const Node& node, const std::string& what) const;
  [[noreturn]] void refuse(const Node& node) const;  ///< an operator that Grapes has no layer for

  std::int64_t integer(const Node& node, const std::string& attribute, std::int64_t otherwise) const;
  double real(const Node& node, const std::string& attribute, double otherwise) const;

  at::Tensor constant(const Node& node, std::size_t input) const;
  at::Tensor other_operand(const Node& node, const std::string& value) const;  ///< the constant of a sum or product
  bool is_sum(const Node& node) const;                                         ///< of two values, none a constant
  /// Whether a constant [units], [1, units], [units, 1, 1], ... has one number per unit of [batch, units, ...].
  static bool is_per_unit(const at::Tensor& c, std::int64_t axes);

  std::pair<at::Tensor, at::Tensor> dense(const Node& node, const std::string& value) const;  ///< W [unit, in] and b
  OnnxConvolution convolution(const Node& node, const std::string& value) const;
  std::int64_t window(const Node& node) const;     ///< side of a pooling whose windows do not overlap
  void require_map_axes(const Node& node) const;   ///< reduces rows and columns
  void require_flat(const Node& node) const;       ///< gives [batch, values]
  std::string activation(const Node& node) const;  ///< a name in nn::activations(), or ""
  /// The Tanh between two products with the constants of scaled_tanh, or null. @param c  the constant of `node`
  const Node* scaled_tanh(const Node& node, const at::Tensor& c) const;
  bool is_last_scale(const Node& node) const;  ///< a Mul whose value an Add adds a constant to for the output

  bool rounds(const Node& node) const;                                  ///< is a Quant or FloatQuant
  kernels::NumberFormat format(const Node& node) const;                 ///< of one that rounds inputs
  kernels::NumberFormat weight_format(const std::string& value) const;  ///< of a constant; exact if it is not rounded

 private:
  std::string file_;
  std::map<std::string, at::Tensor> constants_;
  std::map<std::string, kernels::NumberFormat> formats_;  // of the constants that nodes round
  std::map<std::string, std::string> same_;               // output of an Identity -> its input
  std::map<std::string, std::vector<const Node*>> users_;
  std::map<std::string, const Node*> made_by_;
  const onnx::Value* input_ = nullptr;
  std::string output_;

  const std::string& resolved(const std::string& value) const;
  bool is_constant(const std::string& value) const { return constants_.contains(value); }
  void add_constant(const Node& node);
  void round_constant(const Node& node);
  std::vector<std::int64_t> integers(const Node& node, const std::string& attribute,
                                     std::vector<std::int64_t> otherwise) const;
  std::string word(const Node& node, const std::string& attribute, const std::string& otherwise) const;
  std::vector<std::int64_t> axes(const Node& node) const;
  std::int64_t square(const Node& node, const std::string& what, const std::vector<std::int64_t>& sides) const;
};

}  // namespace grapes::exchange
