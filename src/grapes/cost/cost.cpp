#include "grapes/cost/cost.h"

#include "grapes/base/table.h"
#include "grapes/credit/route.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <set>

namespace grapes::cost {
namespace {

using credit::Feedback;
using credit::Responsibility;

double product(const std::vector<std::int64_t>& sizes) {
  return sizes.empty()
             ? 0
             : static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>()));
}

Access reads(std::string array, double words) { return {std::move(array), words, words, 0}; }
Access writes(std::string array, double words) { return {std::move(array), words, 0, words}; }

/// Counts one step of a network, layer by layer.
class Step {
 public:
  Step(const std::vector<nn::LayerShape>& shapes, const Learning& learning)
      : shapes_(shapes),
        learning_(learning),
        route_(find_row(credit::routes(), "route", learning.rule.route)),
        modulation_(find_row(credit::modulations(), "modulation", learning.rule.modulation)),
        rule_(find_row(update_rules(), "optimizer", learning.optimizer)),
        batch_(static_cast<double>(learning.batch)) {
    if (!modulation_.matches.empty())
      throw UsageError("modulation", "the cost of " + modulation_.name +
                                         " is not modeled: it is a control, with a second "
                                         "pass for the norms of " +
                                         modulation_.matches);
    if (modulation_.whole != nullptr)
      throw UsageError("modulation", "the cost of " + modulation_.name +
                                         " is not modeled: it solves equations of the "
                                         "whole network, in a number of sweeps that depends on the weights");
  }

  LayerCost layer(std::size_t l) const {
    LayerCost cost;
    const Numbers n = numbers(l);
    cost.name = shapes_[l].name;
    cost.up = n.hidden ? n.values : 0;
    forward(n, cost);
    dgrad(l, n, cost);
    wgrad(n, cost);
    if (n.hidden && modulation_.transform != nullptr) modulate(l, n, cost);
    update(l, n, cost);
    return cost;
  }

 private:
  /// The sizes of a layer; those of activations are over the whole batch.
  struct Numbers {
    double weights, recurrent, others, nodes, positions, inputs, made, values;
    bool hidden, spikes, synapse;
  };

  Numbers numbers(std::size_t l) const {
    const nn::LayerShape& shape = shapes_[l];
    const auto of_batch = [this](std::int64_t n) { return batch_ * static_cast<double>(n); };
    return {product(shape.weight),
            product(shape.recurrent),
            static_cast<double>(shape.others),
            static_cast<double>(shape.nodes()),
            static_cast<double>(shape.positions),
            of_batch(shape.inputs),
            of_batch(shape.nodes() * shape.positions),
            of_batch(shape.values),
            l + 1 < shapes_.size(),
            shape.spikes,
            shape.synapse};
  }

  double uses(const Numbers& n) const { return n.positions * batch_; }

  void forward(const Numbers& n, LayerCost& cost) const {
    Work& work = cost[Phase::forward];
    work.macs = (n.weights + n.recurrent) * uses(n);
    work.accesses = {reads("weights", n.weights + n.recurrent + n.others), reads("inputs", n.inputs),
                     writes("values", n.made)};
    if (n.spikes) {
      // s = g(c + d s (1-y)), y = [s > θ]: the reset is a selection; g and the threshold are comparisons. s is stored
      // besides y. With a synapse, c = α c + ...
      work.multiplications = work.additions = (n.synapse ? 2 : 1) * n.made;
      work.comparisons = 2 * n.made;
      work.accesses.push_back(writes("membranes", n.made));
      return;
    }
    static const std::set<std::string> compare = {"relu", "leaky_relu"};
    if (n.others > 0) work.additions = n.made;
    if (n.hidden && compare.contains(learning_.activation)) work.comparisons = n.made;
    if (n.values < n.made) {  // the maximum of k numbers takes k - 1 comparisons
      work.comparisons += n.made - n.values;
      work.accesses.push_back(writes("pooled values", n.values));
    }
  }

  /// If the route's error runs upward, it comes from the layer below; otherwise it goes there.
  void dgrad(std::size_t l, const Numbers& n, LayerCost& cost) const {
    Work& work = cost[Phase::dgrad];
    const bool direct = route_.feedback == Feedback::direct || (route_.feedback == Feedback::first && l == 0);
    const double outputs = numbers(shapes_.size() - 1).values;  // number of output errors
    const bool pooled = n.values < n.made;
    if (n.hidden && direct) {
      const double B = fed_back(l);
      work.macs = n.values * static_cast<double>(shapes_.back().nodes());
      work.accesses = {reads("feedback weights", B), reads("output errors", outputs), writes("errors", n.made)};
      cost.feedback = B;
      cost.error = outputs;
    } else if (l > 0 && route_.feedback == Feedback::first && n.hidden) {
      work.macs = n.weights * uses(n);
      work.accesses = {reads("weights", n.weights), reads("errors from below", n.inputs), writes("errors", n.made)};
      cost.error = n.inputs;
    } else if (l > 0 && (route_.feedback == Feedback::none || route_.feedback == Feedback::above)) {
      work.macs = n.weights * uses(n);
      using credit::FeedbackWeights;
      const bool scale = route_.weights == FeedbackWeights::scale,
                 matrix = route_.feedback == Feedback::above && !scale;
      work.accesses = {reads(matrix ? "feedback weights" : "weights", n.weights)};
      // The signs of W; the draws of brsf are not counted.
      if (route_.name == "frsf" || route_.name == "brsf") work.accesses.push_back(reads("weights", n.weights));
      if (!pooled) work.accesses.push_back(reads("errors", n.made));
      work.accesses.push_back(writes("errors below", n.inputs));
      cost.error = n.inputs;
      if (matrix) cost.feedback = n.weights;
      if (scale) {
        cost.feedback = 1;
        work.multiplications = n.inputs;
      }
      if (route_.name ==
          "sign-symmetric") {  // the mean of |w|, summed like a responsibility, and multiplied with the error
        work.additions = n.weights;
        work.divisions = 1;
        work.multiplications = n.inputs;
      }
    }
    if (pooled && !direct && route_.feedback != Feedback::first) {
      // The error from the layer above is also distributed to its positions for the gradient.
      work.accesses.push_back(reads("pooled errors", n.values));
      work.accesses.push_back(writes("errors", n.made));
    }
    if (n.recurrent > 0 && !route_.local_in_time) {
      work.macs += n.recurrent * (uses(n) - batch_);
      work.accesses.push_back(reads("recurrent weights", n.recurrent));
    }
    if (n.spikes) {
      // e = (δy + carried) h(s - θ);  δ = (e + carried) g'(s);  carried = d δ, minus δ s through the reset
      work.multiplications += (n.synapse ? 5 : 4) * n.made;  // with a synapse also δ + α carried
      work.additions += (n.synapse ? 3 : 2) * n.made;
      work.accesses.push_back(reads("membranes", n.made));
    } else if (n.hidden) {
      work.multiplications += n.made;  // φ'
      work.accesses.push_back(reads("values", n.made));
    }
  }

  /// Words of B at hidden layer l on a route that sends it the output's error.
  double fed_back(std::size_t l) const {
    const nn::LayerShape& shape = shapes_[l];
    const std::int64_t nodes = shape.spikes ? shape.nodes() : shape.values;
    return static_cast<double>(nodes * shapes_.back().nodes());
  }

  void wgrad(const Numbers& n, LayerCost& cost) const {
    Work& work = cost[Phase::wgrad];
    work.macs = (n.weights + n.recurrent) * uses(n);
    if (n.others > 0) work.additions = n.made;
    work.accesses = {reads("inputs", n.inputs), reads("errors", n.made)};
    if (n.recurrent > 0) work.accesses.push_back(reads("values", n.made));
    work.accesses.push_back(writes("gradient", n.weights + n.recurrent + n.others));
  }

  void modulate(std::size_t l, const Numbers& n, LayerCost& cost) const {
    const credit::Rule& rule = learning_.rule;
    if (rule.responsibility == Responsibility::synaptic) {
      if (l == 0) return;
      // The factor over the columns of W^l scales its gradient; the one over the columns above scales the error.
      const auto below = static_cast<double>(shapes_[l].input_nodes);
      factor(n.weights, below, cost);
      scale(below, std::min(n.weights, n.inputs), cost);
      if (shapes_[l].above + 1 >= shapes_.size()) return;
    } else if (rule.responsibility == Responsibility::outgoing) {
      factor(product(shapes_[shapes_[l].above].weight), n.nodes, cost);
    } else {
      factor(n.weights + (rule.responsibility == Responsibility::input ? 0 : n.recurrent), n.nodes, cost);
    }
    // The local version may scale the error or the gradient, whichever is smaller.
    scale(n.nodes, modulation_.local ? std::min(n.weights + n.recurrent, n.made) : n.made, cost);
    const bool of_others =
        rule.responsibility == Responsibility::outgoing || rule.responsibility == Responsibility::synaptic;
    if (of_others && modulation_.from_weights) cost.factors = n.nodes / static_cast<double>(rule.every);
  }

  /// Computes the factors of `nodes` units from `weights` weights, whenever they are due.
  void factor(double weights, double nodes, LayerCost& cost) const {
    const credit::Rule& rule = learning_.rule;
    if (!modulation_.from_weights) {
      cost.factor_state += 1;
      return;
    }
    const double often = 1 / static_cast<double>(rule.every), kept = modulation_.one_factor ? 1 : nodes;
    Work& work = cost[Phase::modulation];
    work.additions += weights * often;  // |w|
    work.comparisons += nodes * often;  // max r
    if (rule.factor_bits >= 0) {        // successive approximation: a threshold and a comparison per bit
      work.additions += nodes * (rule.factor_bits + 1) * often;
      work.comparisons += nodes * (rule.factor_bits + 1) * often;
    } else {  // gain / max r once, then times r
      work.divisions += often;
      work.multiplications += nodes * often;
      if (modulation_.clips && rule.clip.kind == credit::Clip::Kind::range) work.comparisons += 2 * nodes * often;
    }
    const credit::Modulation::Work& more = modulation_.work;
    work.additions += more.additions * nodes * often;
    work.comparisons += more.comparisons * nodes * often;
    // r^p = 2^(p log r): a logarithm, a product and an exponential
    work.multiplications += (more.multiplications + more.powers) * nodes * often;
    work.divisions += (more.divisions + 2 * more.powers * nodes) * often;
    work.accesses.push_back({"responsibilities", nodes, nodes * often, nodes * often});
    work.accesses.push_back(writes("factors", kept));
    work.accesses.back().written *= often;
    cost.factor_state += nodes + kept;
  }

  /// Multiplies `numbers` numbers by their unit's factor. With 0 bits it is 1 or 2, which takes an addition.
  void scale(double nodes, double numbers, LayerCost& cost) const {
    Work& work = cost[Phase::modulation];
    (learning_.rule.factor_bits == 0 ? work.additions : work.multiplications) += numbers;
    work.accesses.push_back(reads("factors", modulation_.one_factor ? 1 : nodes));
  }

  void update(std::size_t l, const Numbers& n, LayerCost& cost) const {
    Work& work = cost[Phase::update];
    // Feedback weights that learn get the same update.
    const double fed_back = l > 0 && route_.weights == credit::FeedbackWeights::learned ? n.weights : 0;
    const double learned = n.weights + n.recurrent + n.others + fed_back, decay = learning_.decays ? 1 : 0;  // g + λ W
    work.multiplications = (rule_.multiplications + decay) * learned;
    work.additions = (rule_.additions + decay) * learned;
    work.divisions = rule_.divisions * learned;
    if (rule_.follows_paths)  // as forward, dgrad and wgrad of one example
      work.macs = (l > 0 ? 3 : 2) * n.weights * n.positions;
    // Weight, gradient and state have the same size.
    work.accesses = {{"weights, gradient, state", learned, rule_.read * learned, rule_.written * learned}};
    const double units = n.nodes * (n.recurrent > 0 ? 2 : 1) + n.others;
    cost.optimizer_state = rule_.state * learned + rule_.state_per_unit * units;
  }

  const std::vector<nn::LayerShape>& shapes_;
  const Learning& learning_;
  const credit::Route& route_;
  const credit::Modulation& modulation_;
  const UpdateRule& rule_;
  const double batch_;
};

}  // namespace

const std::string& name_of(Phase phase) {
  static const std::array<std::string, phases> names = {"forward", "dgrad", "wgrad", "modulation", "update"};
  return names[static_cast<std::size_t>(phase)];
}

double Work::read() const {
  return std::accumulate(accesses.begin(), accesses.end(), 0.0,
                         [](double sum, const Access& access) { return sum + access.read; });
}

double Work::written() const {
  return std::accumulate(accesses.begin(), accesses.end(), 0.0,
                         [](double sum, const Access& access) { return sum + access.written; });
}

Work& Work::operator+=(const Work& other) {
  macs += other.macs;
  multiplications += other.multiplications;
  additions += other.additions;
  comparisons += other.comparisons;
  divisions += other.divisions;
  accesses.insert(accesses.end(), other.accesses.begin(), other.accesses.end());
  return *this;
}

Work LayerCost::all() const {
  Work all;
  for (const Work& phase : work) all += phase;
  return all;
}

std::vector<LayerCost> cost_of(const std::vector<nn::LayerShape>& shapes, const Learning& learning) {
  const Step step(shapes, learning);
  std::vector<LayerCost> all;
  for (std::size_t l = 0; l < shapes.size(); ++l) all.push_back(step.layer(l));
  return all;
}

LayerCost total(const std::vector<LayerCost>& layers) {
  LayerCost all;
  all.name = "in all";
  for (const LayerCost& layer : layers) {
    for (std::size_t phase = 0; phase < phases; ++phase) all.work[phase] += layer.work[phase];
    all.feedback += layer.feedback;
    all.optimizer_state += layer.optimizer_state;
    all.factor_state += layer.factor_state;
    all.up += layer.up;
    all.error += layer.error;
    all.factors += layer.factors;
  }
  return all;
}

}  // namespace grapes::cost
