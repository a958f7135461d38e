#include "grapes/data/uci.h"

#include "grapes/base/text.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace grapes::data {
namespace {

/// A table of the repository. Most files have no line of names, so `columns` has them.
struct UciTable {
  std::string name;
  std::string summary;
  std::string columns;  ///< names separated by spaces; NAME*N: NAME_1 ... NAME_N; "": the file's own
  std::string target;
  std::string file;
  std::string test_file = "";
  std::string ignore = "";  ///< names of rows, which are not inputs
  Missing missing = Missing::error;
  TargetReading targets = TargetReading::classes;
};

std::vector<std::string> names_of(std::string_view columns) {
  std::vector<std::string> names;
  if (columns.empty()) return names;
  for (const std::string& word : split(columns, ' ')) {
    const std::size_t star = word.find('*');
    if (star == std::string::npos) {
      names.push_back(word);
      continue;
    }
    const long long count = to_integer(std::string_view(word).substr(star + 1)).value();
    for (long long i = 1; i <= count; ++i) names.push_back(fmt::format("{}_{}", word.substr(0, star), i));
  }
  return names;
}

// Of the cell nuclei in breast-cancer: mean, standard error and largest of ten measures.
std::string measures_of_nuclei() {
  std::string columns = "id diagnosis";
  for (const char* of : {"mean", "error", "worst"})
    for (const char* measure : {"radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity",
                                "concave_points", "symmetry", "fractal_dimension"})
      columns += fmt::format(" {}_{}", of, measure);
  return columns;
}

std::vector<UciTable> tables() {
  constexpr auto numbers = TargetReading::numbers;
  const std::string nuclei = measures_of_nuclei();
  return {
      {"abalone", "4,177 sea snails; regression of the rings, which give the age",
       "sex length diameter height whole_weight shucked_weight viscera_weight shell_weight rings", "rings",
       "abalone.data", "", "", Missing::error, numbers},
      {"adult", "32,561 + 16,281 people of the census of 1994; does the income exceed $50,000?",
       "age workclass fnlwgt education education-num marital-status occupation relationship race sex capital-gain "
       "capital-loss hours-per-week native-country income",
       "income", "adult.data", "adult.test", "", Missing::most_common},
      {"airfoil", "1,503 measurements in a wind tunnel; regression of the sound pressure level",
       "frequency angle_of_attack chord_length velocity displacement_thickness sound_pressure", "sound_pressure",
       "airfoil_self_noise.dat", "", "", Missing::error, numbers},
      {"auto-mpg", "398 cars; regression of the miles per gallon",
       "mpg cylinders displacement horsepower weight acceleration model_year origin car_name", "mpg", "auto-mpg.data",
       "", "car_name", Missing::mean, numbers},
      {"bank-marketing", "45,211 calls of a bank; does the customer subscribe a deposit?", "", "y", "bank-full.csv"},
      {"banknote", "1,372 photographs of banknotes by four statistics; genuine or forged",
       "variance skewness kurtosis entropy class", "class", "data_banknote_authentication.txt"},
      {"breast-cancer", "569 tumors by 30 measures of cell nuclei (Wisconsin, diagnostic); benign or malignant", nuclei,
       "diagnosis", "wdbc.data", "", "id"},
      {"car", "1,728 cars by price, upkeep, size and safety; 4 classes of acceptability",
       "buying maint doors persons lug_boot safety class", "class", "car.data"},
      {"covertype", "581,012 patches of forest by 54 properties of the ground; 7 types of trees",
       "elevation aspect slope horizontal_to_water vertical_to_water horizontal_to_road hillshade_9am hillshade_noon "
       "hillshade_3pm horizontal_to_fire wilderness*4 soil*40 cover_type",
       "cover_type", "covtype.data"},
      {"german-credit", "1,000 borrowers by 20 properties; good (1) or bad (2) risk",
       "checking duration history purpose amount savings employment installment_rate status_and_sex debtors residence "
       "property age other_plans housing credits job dependents telephone foreign class",
       "class", "german.data"},
      {"glass", "214 pieces of glass by nine chemical measures; 6 types",
       "id refractive_index Na Mg Al Si K Ca Ba Fe type", "type", "glass.data", "", "id"},
      {"heart-disease", "303 patients by 13 measures (Cleveland); 5 degrees of disease",
       "age sex chest_pain resting_pressure cholesterol fasting_sugar resting_ecg max_heart_rate exercise_angina "
       "oldpeak slope vessels thal degree",
       "degree", "processed.cleveland.data", "", "", Missing::most_common},
      {"ionosphere", "351 radar returns by 34 numbers; good or bad", "pulse*34 class", "class", "ionosphere.data"},
      {"iris", "150 flowers by four lengths; 3 species", "sepal_length sepal_width petal_length petal_width species",
       "species", "iris.data"},
      {"letter-recognition", "20,000 printed capital letters by 16 measures; 26 letters",
       "letter x_box y_box width height on_pixels x_bar y_bar x2_bar y2_bar xy_bar x2y_bar xy2_bar x_edge x_edge_y "
       "y_edge y_edge_x",
       "letter", "letter-recognition.data"},
      {"magic", "19,020 simulated showers of a gamma-ray telescope by ten measures; gamma or hadron",
       "length width size conc conc1 asym m3_long m3_trans alpha dist class", "class", "magic04.data"},
      {"mushroom", "8,124 mushrooms by 22 properties; edible (e) or poisonous (p)",
       "class cap-shape cap-surface cap-color bruises odor gill-attachment gill-spacing gill-size gill-color "
       "stalk-shape stalk-root stalk-surface-above-ring stalk-surface-below-ring stalk-color-above-ring "
       "stalk-color-below-ring veil-type veil-color ring-number ring-type spore-print-color population habitat",
       "class", "agaricus-lepiota.data", "", "", Missing::most_common},
      {"nursery", "12,960 applications to a nursery school by eight properties; 5 classes",
       "parents has_nurs form children housing finance social health class", "class", "nursery.data"},
      {"optdigits", "3,823 + 1,797 handwritten digits, 8 x 8 counts of pixels; 10 classes", "pixel*64 class", "class",
       "optdigits.tra", "optdigits.tes"},
      {"pendigits", "7,494 + 3,498 digits written with a pen, eight points each; 10 classes", "coordinate*16 class",
       "class", "pendigits.tra", "pendigits.tes"},
      {"satimage", "4,435 + 2,000 satellite images of 3 x 3 pixels in 4 bands; 6 types of soil", "value*36 class",
       "class", "sat.trn", "sat.tst"},
      {"seeds", "210 grains of wheat by seven measures; 3 varieties",
       "area perimeter compactness length width asymmetry groove variety", "variety", "seeds_dataset.txt"},
      {"sonar", "208 sonar returns by 60 bands; rock (R) or metal (M)", "band*60 class", "class", "sonar.all-data"},
      {"spambase", "4,601 e-mails by 57 frequencies of words and characters; spam (1) or not (0)", "frequency*57 class",
       "class", "spambase.data"},
      {"tic-tac-toe", "958 final positions of a game; does x win?",
       "top_left top top_right left middle right bottom_left bottom bottom_right class", "class", "tic-tac-toe.data"},
      {"wine", "178 wines by 13 chemical measures; 3 cultivars",
       "cultivar alcohol malic_acid ash alcalinity magnesium phenols flavanoids nonflavanoid_phenols proanthocyanins "
       "color_intensity hue od280_od315 proline",
       "cultivar", "wine.data"},
      {"wine-quality-red", "1,599 red wines by 11 chemical measures; quality, 6 of the degrees 0 to 10", "", "quality",
       "winequality-red.csv"},
      {"wine-quality-white", "4,898 white wines by 11 chemical measures; quality, 7 of the degrees 0 to 10", "",
       "quality", "winequality-white.csv"},
      {"yacht", "308 shapes of yachts by six numbers; regression of the resistance",
       "buoyancy prismatic length_displacement beam_draught length_beam froude resistance", "resistance",
       "yacht_hydrodynamics.data", "", "", Missing::error, numbers},
      {"yeast", "1,484 proteins by eight measures; 10 places in the cell",
       "protein mcg gvh alm mit erl pox vac nuc place", "place", "yeast.data", "", "protein"},
      {"zoo", "101 animals by 16 properties; 7 kinds",
       "animal hair feathers eggs milk airborne aquatic predator toothed backbone breathes venomous fins legs tail "
       "domestic catsize kind",
       "kind", "zoo.data", "", "animal"},
  };
}

}  // namespace

std::vector<Source> uci_sources() {
  std::vector<Source> sources;
  for (const UciTable& row : tables()) {
    Source source;
    source.name = row.name;
    source.summary = "UCI: " + row.summary;
    source.files.push_back({.name = row.file});
    if (!row.test_file.empty()) source.files.push_back({.name = row.test_file});
    NamedTable table;
    table.options.dialect.names = names_of(row.columns);
    table.options.target = row.target;
    table.options.ignore = row.ignore;
    table.options.missing = row.missing;
    table.targets = row.targets;
    source.table = std::move(table);
    source.advice = fmt::format("download the data set from https://archive.ics.uci.edu and take {}{} from its archive",
                                row.file, row.test_file.empty() ? "" : " and " + row.test_file);
    sources.push_back(std::move(source));
  }
  return sources;
}

}  // namespace grapes::data
