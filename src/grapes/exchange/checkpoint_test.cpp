#include "grapes/exchange/checkpoint.h"

#include "grapes/base/error.h"
#include "grapes/exchange/weights.h"
#include "grapes/experiment/toml.h"
#include "grapes/train/state.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace grapes::exchange {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A spiking network with normalized inputs.
experiment::Loaded spiking() {
  experiment::Loaded loaded{
      {}, numbered_classes({5}, 3), {}, nullptr, nn::Criterion("auto", "auto", nn::TargetKind::classes)};
  nn::Options& network = loaded.config.network;
  network.model = nn::parse_model("snn:8,6");
  network.spiking.neuron = "lif";
  network.encoding.encoder = "direct";
  loaded.config.training.seed = 4;
  loaded.normalization.shift = at::full({1}, 0.25);
  loaded.normalization.scale = at::linspace(1, 2, 5);
  loaded.model = nn::make_network(network, train::signature_of(loaded.info), 4);
  return loaded;
}

void expect_same_parameters(const nn::Network& one, const nn::Network& other) {
  const auto first = one.parameters(), second = other.parameters();
  ASSERT_EQ(first.size(), second.size());
  for (std::size_t i = 0; i < first.size(); ++i)
    EXPECT_TRUE(at::equal(first[i].value, second[i].value)) << first[i].name;
}

template <class Act>
std::string data_error(const Act& act) {
  try {
    act();
  } catch (const DataError& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(NirCheckpoint, ExportingAndImportingGivesTheSameNetwork) {
  const experiment::Loaded loaded = spiking();
  const Export made = graph_of(loaded, 5e-4, false);
  EXPECT_THAT(made.replaced, ElementsAre());
  const Import back = checkpoint_of(made.graph, "x.nir");
  EXPECT_EQ(experiment::to_toml(back.config), experiment::to_toml(loaded.config));
  EXPECT_EQ(experiment::to_json(back.info), experiment::to_json(loaded.info));
  EXPECT_TRUE(at::equal(back.normalization.shift, loaded.normalization.shift));
  EXPECT_TRUE(at::equal(back.normalization.scale, loaded.normalization.scale));
  expect_same_parameters(*back.model, *loaded.model);
}

TEST(NirCheckpoint, ReplacementsAreListedAndStored) {
  experiment::Loaded loaded = spiking();
  loaded.config.network.spiking.reset = "subtract";
  const Export made = graph_of(loaded, 1e-3, true);
  EXPECT_THAT(made.replaced, ElementsAre("a soft reset (reset subtract) was replaced by the hard reset"));
  EXPECT_EQ(nir::text_of(made.graph.metadata.at("approximations")), made.replaced.front());
  EXPECT_EQ(checkpoint_of(made.graph, "x.nir").config.network.spiking.reset, "hard");
}

TEST(NirCheckpoint, ErrorsNameMissingOrDamagedMetadata) {
  const auto said = [](const std::string& name, const std::optional<nir::Array>& value) {
    nir::Graph graph = graph_of(spiking(), 1e-3, false).graph;
    graph.metadata.erase(name);
    if (value) graph.metadata[name] = *value;
    return data_error([&] { checkpoint_of(graph, "x.nir"); });
  };
  EXPECT_EQ(said("config", {}), "x.nir: the entry 'config' of its metadata is missing");
  EXPECT_THAT(said("config", nir::text("model = ")), HasSubstr("x.nir: its configuration"));
  EXPECT_THAT(said("dataset", nir::text(R"({"outputs": -10})")), HasSubstr("x.nir: the entry 'dataset'"));
  EXPECT_THAT(said("input_shift", nir::text("none")), HasSubstr("numbers with the shape of the inputs, [5]; got text"));
  EXPECT_THAT(said("input_scale", nir::wholes({1, 2, 3})), HasSubstr("got [3]"));
}

TEST(NirCheckpoint, OtherProgramsNetworksHaveNumberedClassesOrThoseOfTheData) {
  const experiment::Loaded loaded = spiking();
  nir::Graph graph = graph_of(loaded, 1e-3, false).graph;
  graph.metadata.clear();
  const Import numbered = checkpoint_of(graph, 1e-3, {}, {}, nullptr, "x.nir");
  EXPECT_EQ(nn::to_string(numbered.config.network.model), "snn:8,6");
  EXPECT_THAT(numbered.info.classes, ElementsAre("0", "1", "2"));
  EXPECT_EQ(numbered.info.problem, data::ProblemKind::classification);
  data::Splits splits;
  splits.name = "letters";
  splits.info = numbered_classes({5}, 3);
  splits.info.classes = {"a", "b", "c"};
  EXPECT_THAT(checkpoint_of(graph, 1e-3, {}, {}, &splits, "x.nir").info.classes, ElementsAre("a", "b", "c"));
  splits.info.input_shape = {1, 6};
  EXPECT_EQ(data_error([&] { checkpoint_of(graph, 1e-3, {}, {}, &splits, "x.nir"); }),
            "x.nir has 5 inputs and 3 outputs, but letters has 6 and 3");
}

}  // namespace
}  // namespace grapes::exchange
