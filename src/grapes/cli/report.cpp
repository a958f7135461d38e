#include "grapes/report/report.h"

#include "grapes/cli/experiment.h"
#include "grapes/report/continual.h"

#include <iostream>

namespace grapes::cli {
namespace fs = std::filesystem;

void add_report(Program& program) {
  CLI::App* verb =
      add_verb(program.app, "report", "make the page and the table anew, from records alone",
               {{"grapes report runs/20260101-120000-compare", "of a comparison"},
                {"grapes report runs/a runs/b --out both", "of runs made at different times, paired where they can be"},
                {"grapes report runs/a --json", "all its numbers"}});
  struct Options {
    std::vector<std::string> runs;
    std::string out, title, baseline = "bp";
    double target = 0;
    bool json = false;
  };
  const auto options = std::make_shared<Options>();
  verb->add_option("run", options->runs, "runs, or folders of runs")->type_name("FOLDER")->required();
  verb->add_option("--out", options->out, "where the page goes [the folder, if it is one; else report]")
      ->type_name("FOLDER");
  verb->add_option("--title", options->title, "heading of the page")->type_name("TEXT");
  verb->add_option("--baseline", options->baseline, "the arm against which the others are paired [bp]")
      ->type_name("ARM");
  verb->add_option("--target", options->target, "score for epochs to target [98 % of the baseline's final mean]")
      ->type_name("NUMBER");
  verb->add_flag("--json", options->json, "all numbers as one JSON document");
  verb->callback([&program, options] {
    program.action = [options] {
      const std::vector<fs::path> folders(options->runs.begin(), options->runs.end());
      for (const fs::path& folder : folders)
        if (fs::exists(folder / "sweep.svg"))
          throw UsageError(folder.string() + " holds a sweep, whose report is " + (folder / "report.html").string() +
                           "; name the folder of one of its values");
      report::Options wishes;
      wishes.baseline = options->baseline;
      wishes.target = options->target;
      wishes.title = options->title;
      wishes.tuning = report::tuning_of(folders);
      const fs::path out = !options->out.empty() ? options->out : folders.size() == 1 ? folders[0].string() : "report";
      const std::vector<record::Run> runs = record::load_all(folders);
      const bool continual = report::has_tasks(runs);
      const report::ContinualOptions of_tasks{options->baseline, options->title};
      const record::Json summary = continual
                                       ? report::summarize_continual(runs, report::rates_of(folders, runs), of_tasks)
                                       : report::summarize(runs, wishes);
      const fs::path page =
          continual ? report::write_continual(folders, out, of_tasks) : report::write(folders, out, wishes);
      if (options->json) {
        record::Json document = summary;
        document["report"] = page.string();
        print_json(document);
        return Exit::done;
      }
      if (continual)
        print_continual(summary);
      else
        print_comparison(summary);
      std::cout << "\nreport: " << page.string() << "\n";
      return Exit::done;
    };
  });
}

}  // namespace grapes::cli
