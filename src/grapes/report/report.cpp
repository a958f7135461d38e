#include "grapes/report/report.h"

#include "grapes/base/file.h"
#include "grapes/report/format.h"
#include "grapes/report/plots.h"

namespace grapes::report {
using record::Json;
using record::Run;

std::string picture(const std::vector<Run>& runs, const Json& summary) {
  const std::vector<Arm> arms = arms_of(runs, summary["baseline"]);
  const Unit unit = unit_of(summary["score"]);
  std::vector<std::string> names;
  for (const Arm& arm : arms) names.push_back(arm.name);
  const Styles styles(names);
  const svg::Drawing scores = dot_plot(summary, styles);
  Chart chart;
  chart.id = "curves";
  chart.x_label = "epoch";
  chart.y_label =
      summary["part"].get<std::string>() + " " + score_name(summary["score"]) + (unit.suffix.empty() ? "" : ", %");
  chart.height = std::max(280.0, scores.height());
  for (const Arm& arm : arms)
    chart.series.push_back({arm.name, trained(arm, score_key(arms, summary["part"]), unit.factor), {}});
  const svg::Drawing curves = line_chart(chart, styles);
  svg::Drawing all(972, curves.height() + 66);
  all.rectangle({0.5, 0.5}, all.width() - 1, all.height() - 1, "class=\"card\" rx=\"10\" stroke=\"var(--hair)\"");
  all.text({20, 34}, summary["title"], "class=\"heading\"");
  all.place(curves, {16, 56});
  all.place(scores, {496, 56});
  return all.element(
      "picture", summary["title"],
      "Left: learning curves, means over seeds with bands of one standard deviation. Right: final scores, "
      "every seed, the mean and its 95 % interval.",
      plot_style());
}

Json tuning_of(const std::vector<std::filesystem::path>& folders) {
  Json tuning;
  std::size_t found = 0;
  for (const auto& folder : folders) {
    const std::filesystem::path path = folder / "compare.json";
    if (!std::filesystem::is_regular_file(path)) continue;
    const Json content = Json::parse(read_file(path), nullptr, false);
    if (!content.is_object() || !content.contains("tuning"))
      throw DataError(path.string() + ": expected a JSON object with 'tuning'");
    tuning = content["tuning"];
    ++found;
  }
  return found == 1 ? tuning : Json();
}

std::filesystem::path write(const std::vector<std::filesystem::path>& folders, const std::filesystem::path& out,
                            Options options) {
  const std::vector<Run> runs = record::load_all(folders);
  const Json summary = summarize(runs, options);
  write_file(out / "summary.json", summary.dump(2) + "\n");
  write_file(out / "picture.svg", picture(runs, summary));
  write_file(out / "report.html", html(runs, summary, options));
  return out / "report.html";
}

}  // namespace grapes::report
