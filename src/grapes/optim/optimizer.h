#pragma once

#include "grapes/kernels/row_sums.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace grapes::optim {

using kernels::Parameter;

struct Options {
  std::string optimizer = "sgd";  ///< a row of optimizers()
  double learning_rate = 0.1;
  double momentum = 0.9;              ///< momentum, nag
  double rho = 0.9;                   ///< rmsprop: decay of the squared gradient
  double beta1 = 0.9, beta2 = 0.999;  ///< adam
  double epsilon = 1e-8;              ///< rmsprop (inside the root), adam (outside)
  double weight_decay = 0;            ///< λ: every rule sees g + λ W, both taken at the same W
};

/// An update rule over a list of parameters; reads their .grad(), modulated or not, an undefined one as zero. Keeps the
/// row sums of those that have them, and rounds what is added to a parameter, and the sum, as its storage says.
///
///     begin()     before the forward pass: moves the parameters to where the gradient is wanted (NAG looks ahead)
///     step(rate)  after the backward pass: updates, ends at W itself, releases the gradients
///     restore()   instead of step: back to W, bit for bit, gradients kept
///
/// Evaluate and save after step() or restore(), where the parameters are W.
class Optimizer {
 public:
  Optimizer(const Options& options, std::vector<Parameter> parameters);
  virtual ~Optimizer() = default;
  virtual void begin() {}
  void step(double rate);
  virtual void restore() {}
  /// W, also between begin() and step().
  virtual std::vector<at::Tensor> parameters_without_lookahead() const;
  /// Whether step(rate) is W -= rate g and nothing more, so that the backward pass may do it in place of a gradient.
  virtual bool is_plain_sgd() const { return false; }

  struct State {
    std::string name;  ///< "velocity.0", "steps"
    at::Tensor value;
  };
  /// Everything a checkpoint must hold to resume bit for bit; the tensors are the live ones, to be copied into on
  /// loading.
  virtual std::vector<State> state() = 0;

 protected:
  /// Parameter i from its gradient g.
  virtual void update(std::size_t i, const at::Tensor& g, double rate) = 0;
  virtual void before_updates() {}  ///< once per step
  Options options_;
  std::vector<Parameter> parameters_;
};

struct Row {
  std::string name;
  std::string summary;  ///< its equation
  std::unique_ptr<Optimizer> (*make)(const Options& options, std::vector<Parameter> parameters);
};
const std::vector<Row>& optimizers();
/// @throws UsageError for a name or a number that cannot be
std::unique_ptr<Optimizer> make_optimizer(const Options& options, std::vector<Parameter> parameters);

}  // namespace grapes::optim
