#pragma once

#include "grapes/kernels/update.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace grapes::optim {

using kernels::Parameter;

struct Options {
  std::string optimizer = "sgd";  ///< a name in optimizers()
  double learning_rate = 0.1;
  double momentum = 0.9;              ///< momentum, nag, lars
  double rho = 0.9;                   ///< rmsprop: decay of the squared gradient
  double beta1 = 0.9, beta2 = 0.999;  ///< adam, lamb; nero: beta2 only
  double epsilon = 1e-8;              ///< rmsprop (inside the root), adam and lamb (outside)
  double weight_decay = 0;  ///< λ: every rule except lamb uses the gradient g + λ W, with g and W at the same point
};

/// Computes, for each number of each parameter, the sum over the paths through it, see nn::Network::path_sums().
using Paths = std::function<std::vector<at::Tensor>()>;

/// An update rule for a list of parameters. It reads their .grad(), modulated or not; an undefined gradient counts as
/// zero. It updates the row sums of parameters that have them, and rounds the change of a parameter and the new value
/// to the parameter's storage format.
///
///     begin()     before the forward pass: moves the parameters to where the gradient is needed (NAG looks ahead)
///     learn(...)  optional, inside the backward pass, which then need not write the gradient: updates one parameter
///     step(rate)  after the backward pass: updates the parameters that learn() has not updated, leaves all at W, and
///                 releases the gradients
///     restore()   instead of step: returns to W, bit for bit, and keeps the gradients
///
/// Evaluate and save after step() or restore(), when the parameters are W.
class Optimizer {
 public:
  Optimizer(const Options& options, std::vector<Parameter> parameters);
  virtual ~Optimizer() = default;
  void begin();
  void step(double rate);
  void learn(const at::Tensor& parameter, const kernels::Gradient& g, double rate);
  virtual void restore() {}
  /// Returns W, also between begin() and step().
  virtual std::vector<at::Tensor> parameters_without_lookahead() const;
  /// Whether learn() may be called: the rule needs nothing but a parameter's own gradient, as numbers or as a product.
  bool updates_inside() const;
  /// Whether step(rate) is exactly W -= rate g, so that devices can apply it as pulses.
  virtual bool is_plain_sgd() const { return false; }

  struct State {
    std::string name;  ///< "velocity.0", "steps"
    at::Tensor value;
  };
  /// Returns all tensors that a checkpoint must contain to resume bit for bit. They are not copies; loading writes into
  /// them.
  const std::vector<State>& state() const { return state_; }

 protected:
  /// Makes tensors part of the state, named "NAME.0", "NAME.1", ..., and returns them. A rule may only change their
  /// values.
  std::vector<at::Tensor> keep(const std::string& name, std::vector<at::Tensor> tensors);
  at::Tensor keep(const std::string& name, at::Tensor tensor);  ///< the same, named NAME
  /// Returns g + λ W of parameter i.
  at::Tensor decayed(std::size_t i, const at::Tensor& g) const;
  /// Updates parameter i with its gradient g: numbers, unless learn() was called.
  virtual void update(std::size_t i, const kernels::Gradient& g, double rate) = 0;
  virtual void before_updates() {}  ///< once per step
  virtual void look_ahead() {}      ///< see begin()
  Options options_;
  std::vector<Parameter> parameters_;
  Paths paths_;  ///< of a rule that follows paths

 private:
  void start();  ///< calls before_updates() if this is the first update of a step

  std::vector<State> state_;
  bool elementwise_ = false;  ///< see Row
  bool started_ = false;
  std::vector<bool> learned_;  ///< by parameter: whether learn() has updated it in this step

  friend std::unique_ptr<Optimizer> make_optimizer(const Options&, std::vector<Parameter>, Paths);
};

struct Row {
  std::string name;
  std::string summary;  ///< equation, for people
  std::unique_ptr<Optimizer> (*make)(const Options& options, std::vector<Parameter> parameters);
  /// Whether each number is updated from its own gradient and state alone, in the one pass of kernels/update.h. The
  /// steps of the other rules depend on the weights, so that another tensor with the same gradients takes other steps.
  bool elementwise = true;
  std::string exact = {};  ///< the weights that it does not quantize, so that weights in a number format are refused
  bool follows_paths = false;  ///< needs the Paths of the network
};
const std::vector<Row>& optimizers();
const Row& row_of(const Options& options);  ///< @throws UsageError for an unknown name
/// @param paths  for a rule that follows them
/// @throws UsageError for an unknown name, an invalid number, or parameters that the rule does not support
std::unique_ptr<Optimizer> make_optimizer(const Options& options, std::vector<Parameter> parameters, Paths paths = {});

}  // namespace grapes::optim
