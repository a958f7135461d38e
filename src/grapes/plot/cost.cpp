#include "grapes/plot/cost.h"

#include "grapes/base/text.h"
#include "grapes/plot/chart.h"
#include "grapes/plot/format.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace grapes::plot {
namespace {

double sum(const CostBar& bar) { return std::accumulate(bar.parts.begin(), bar.parts.end(), 0.0); }

/// Three digits that count.
std::string short_number(double value) {
  if (value <= 0) return "0";
  return fixed(value, std::max(0, 2 - static_cast<int>(std::floor(std::log10(value)))));
}

std::string cell(std::size_t part) { return "cell a" + std::to_string(part); }

}  // namespace

std::string cost_picture(const std::string& title, const std::string& unit, const std::vector<std::string>& parts,
                         const std::vector<CostBar>& bars) {
  for (const CostBar& bar : bars)
    if (bar.parts.size() != parts.size() ||
        !std::all_of(bar.parts.begin(), bar.parts.end(), [](double part) { return part >= 0; }))
      throw std::invalid_argument("cost picture: '" + bar.label + "' must have a number from 0 for every part");
  constexpr double pitch = 22, thick = 14, top = 62, character = 7.2, extent = 460;
  std::size_t widest = 0;
  double most = 0;
  for (const CostBar& bar : bars) {
    widest = std::max(widest, display_width(bar.label));
    most = std::max(most, sum(bar));
  }
  const double left = 16 + character * static_cast<double>(widest),
               bottom = top + pitch * static_cast<double>(bars.size());
  Drawing drawing(left + extent + 64, bottom + 44);
  drawing.rectangle({0, 0}, drawing.width(), drawing.height(), "card");
  drawing.text({8, 20}, title, "strong");
  double x = left;
  for (std::size_t part = 0; part < parts.size(); ++part) {
    drawing.rectangle({x, 34}, 11, 11, cell(part));
    drawing.text({x + 15, 44}, parts[part], "small muted");
    x += 34 + character * static_cast<double>(display_width(parts[part]));
  }
  const Scale scale{0, most > 0 ? most : 1, left, left + extent};
  const std::vector<double> marks = ticks(scale.low, scale.high, 6);
  for (const double mark : marks) {
    drawing.line({scale(mark), top - 4}, {scale(mark), bottom}, "grid");
    drawing.text({scale(mark), bottom + 16}, tick_label(mark, marks), "small muted middle");
  }
  drawing.text({left + extent / 2, bottom + 34}, unit, "small muted middle");
  for (std::size_t row = 0; row < bars.size(); ++row) {
    const double y = top + pitch * static_cast<double>(row);
    drawing.text({left - 6, y + 12}, bars[row].label, "small end");
    double from = 0;
    for (std::size_t part = 0; part < parts.size(); ++part) {
      const double to = from + bars[row].parts[part];
      drawing.open("", bars[row].label + ", " + parts[part] + ": " + short_number(bars[row].parts[part]) + " " + unit);
      drawing.rectangle({scale(from), y + 1}, scale(to) - scale(from), thick, cell(part));
      drawing.close();
      from = to;
    }
    drawing.text({scale(from) + 5, y + 12}, short_number(sum(bars[row])), "small muted");
  }
  return drawing.element(title + ": one bar a row, by phase, in " + unit, plot_style());
}

}  // namespace grapes::plot
