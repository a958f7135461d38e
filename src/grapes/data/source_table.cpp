#include "grapes/base/text.h"
#include "grapes/data/chorales.h"
#include "grapes/data/cifar.h"
#include "grapes/data/delayed_xor.h"
#include "grapes/data/digits.h"
#include "grapes/data/event_sources.h"
#include "grapes/data/folder.h"
#include "grapes/data/idx.h"
#include "grapes/data/source.h"
#include "grapes/data/svhn.h"
#include "grapes/data/uci.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace grapes::data {
namespace {

std::vector<std::string> letters(std::string_view text) {
  std::vector<std::string> names;
  for (const char c : text) names.emplace_back(1, c);
  return names;
}

// EMNIST's numbering of "ByMerge" and "Balanced". A capital letter includes the lower-case letter if both look alike.
constexpr std::string_view emnist_classes = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt";

// CIFAR-100's "fine" labels, in their order.
constexpr std::string_view cifar100_classes =
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle "
    "caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant "
    "flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man "
    "maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree "
    "plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper "
    "snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train "
    "trout tulip turtle wardrobe whale willow_tree wolf woman worm";

Collection idx(const SourceFiles& files) { return read_idx(files); }

/// @param part     as EMNIST's file names spell it
/// @param classes  a letter each
Source emnist(const std::string& name, const std::string& part, const std::string& summary, std::string_view classes) {
  Source source;
  source.name = name;
  source.summary = fmt::format("EMNIST {}, 28 x 28, {} classes", summary, classes.size());
  source.classes = letters(classes);
  for (const char* set : {"train", "test"})
    for (const char* kind : {"images-idx3", "labels-idx1"})
      source.files.push_back({.name = fmt::format("emnist-{}-{}-{}-ubyte", part, set, kind)});
  // Pixels are stored column by column; the letters are numbered from 1.
  source.read = part == "letters" ? +[](const SourceFiles& files) { return read_idx(files, true, 1); }
                                  : +[](const SourceFiles& files) { return read_idx(files, true); };
  source.matlab = fmt::format("emnist-{}.mat", part);
  source.advice = fmt::format(
      "take the four emnist-{}-* files from gzip.zip, or matlab.zip, of "
      "https://www.nist.gov/itl/products-and-services/emnist-dataset",
      part);
  return source;
}

std::vector<SourceFile> folders(const std::vector<std::string>& names) {
  std::vector<SourceFile> files;
  for (const std::string& name : names) files.push_back({.name = name, .folder = true});
  return files;
}

std::vector<Source> make_table() {
  const std::vector<std::string> cifar10_classes = {"airplane", "automobile", "bird",  "cat",  "deer",
                                                    "dog",      "frog",       "horse", "ship", "truck"};
  std::vector<Source> table = {
      {.name = "digits",
       .summary = "1,797 handwritten digits, 8 x 8, 10 classes; part of the program: needs no file and no download",
       .classes = letters("0123456789"),
       .read = read_digits},
      {.name = "mnist",
       .summary = "60,000 + 10,000 handwritten digits, 28 x 28, 10 classes",
       .classes = letters("0123456789"),
       .files = {{"train-images-idx3-ubyte", 9912422,
                  "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                  "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
                 {"train-labels-idx1-ubyte", 28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                  "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
                 {"t10k-images-idx3-ubyte", 1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                  "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
                 {"t10k-labels-idx1-ubyte", 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                  "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"}},
       .mirrors = {"https://ossci-datasets.s3.amazonaws.com/mnist",
                   "https://storage.googleapis.com/cvdf-datasets/mnist"},
       .read = idx},
      {.name = "fashion-mnist",
       .summary = "60,000 + 10,000 images of clothes, 28 x 28, 10 classes",
       .classes = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
                   "Ankle boot"},
       .files = {{"train-images-idx3-ubyte", 26421856,
                  "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
                  "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"},
                 {"train-labels-idx1-ubyte", 29491, "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
                  "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"},
                 {"t10k-images-idx3-ubyte", 4422079, "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
                  "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"},
                 {"t10k-labels-idx1-ubyte", 5125, "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
                  "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"}},
       .mirrors = {"https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion"},
       .read = idx},
      {.name = "kmnist",
       .summary = "Kuzushiji-MNIST: 60,000 + 10,000 handwritten hiragana, 28 x 28, 10 classes",
       .classes = {"o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"},
       .files = {{.name = "train-images-idx3-ubyte", .packed_md5 = "bdb82020997e1d708af4cf47b453dcf7"},
                 {.name = "train-labels-idx1-ubyte", .packed_md5 = "e144d726b3acfaa3e44228e80efcd344"},
                 {.name = "t10k-images-idx3-ubyte", .packed_md5 = "5c965bf0a639b31b8f53240b1b52f4d7"},
                 {.name = "t10k-labels-idx1-ubyte", .packed_md5 = "7320c461ea6c1c855c0b718fb2a4b134"}},
       .read = idx,
       .advice = "take the four files of kmnist from https://github.com/rois-codh/kmnist"},
      {.name = "qmnist",
       .summary = "QMNIST: MNIST, reconstructed with 60,000 test images, 28 x 28, 10 classes",
       .classes = letters("0123456789"),
       .files = {{.name = "qmnist-train-images-idx3-ubyte", .packed_md5 = "ed72d4157d28c017586c42bc6afe6370"},
                 {.name = "qmnist-train-labels-idx2-int", .packed_md5 = "0058f8dd561b90ffdd0f734c6a30e5e4"},
                 {.name = "qmnist-test-images-idx3-ubyte", .packed_md5 = "1394631089c404de565df7b7aeaf9412"},
                 {.name = "qmnist-test-labels-idx2-int", .packed_md5 = "5b5b05890a5e13444e108efe57b788aa"}},
       .read = read_qmnist,
       .advice =
           "take the four qmnist-train-* and qmnist-test-* files from https://github.com/facebookresearch/qmnist"},
      // The hashes of EMNIST's files are unknown to us, so they are never downloaded, only found.
      emnist("emnist", "balanced", "Balanced: 112,800 + 18,800 handwritten digits and letters", emnist_classes),
      emnist("emnist-bymerge", "bymerge", "ByMerge: 697,932 + 116,323 handwritten digits and letters", emnist_classes),
      emnist("emnist-byclass", "byclass", "ByClass: 697,932 + 116,323 handwritten digits and letters",
             "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
      emnist("emnist-letters", "letters", "Letters: 124,800 + 20,800 handwritten letters, capital or not",
             "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
      emnist("emnist-digits", "digits", "Digits: 240,000 + 40,000 handwritten digits", "0123456789"),
      emnist("emnist-mnist", "mnist", "MNIST: 60,000 + 10,000 handwritten digits", "0123456789"),
      {.name = "cifar10",
       .summary = "CIFAR-10: 50,000 + 10,000 color photographs of animals and vehicles, 32 x 32, 10 classes",
       .classes = cifar10_classes,
       .files = {{.name = "data_batch_1.bin",
                  .unpacked_sha256 = "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"},
                 {.name = "data_batch_2.bin",
                  .unpacked_sha256 = "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"},
                 {.name = "data_batch_3.bin",
                  .unpacked_sha256 = "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"},
                 {.name = "data_batch_4.bin",
                  .unpacked_sha256 = "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"},
                 {.name = "data_batch_5.bin",
                  .unpacked_sha256 = "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"},
                 {.name = "test_batch.bin",
                  .unpacked_sha256 = "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"}},
       .read = [](const SourceFiles& files) { return read_cifar(files, 5, {10}); },
       .advice = "take the files of cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html"},
      {.name = "cifar100",
       .summary = "CIFAR-100: 50,000 + 10,000 color photographs, 32 x 32, 100 classes (the fine labels)",
       .classes = split(cifar100_classes, ' '),
       .files = {{.name = "train.bin"}, {.name = "test.bin"}},
       .read =
           [](const SourceFiles& files) {
             return read_cifar(files, 1, {20, 100});
           },
       .advice = "take the files of cifar-100-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html"},
      {.name = "svhn",
       .summary = "Street View House Numbers: 73,257 + 26,032 color photographs of digits, 32 x 32, 10 classes",
       .classes = letters("0123456789"),
       .files = {{.name = "train_32x32.mat"}, {.name = "test_32x32.mat"}},
       .read = read_svhn,
       .advice = "take train_32x32.mat and test_32x32.mat from http://ufldl.stanford.edu/housenumbers"},
      {.name = "tiny-imagenet",
       .summary =
           "Tiny ImageNet: 100,000 + 10,000 color photographs, 64 x 64, 200 classes (their names are WordNet IDs)",
       .files = folders({"train", "val"}),
       .read = read_tiny_imagenet,
       .pictures = true,
       .advice = "take tiny-imagenet-200.zip from http://cs231n.stanford.edu/tiny-imagenet-200.zip"},
      {.name = "jsb",
       .summary = "JSB chorales: 229 + 76 + 77 pieces by Bach, 88 notes, one step per quarter note; the targets are "
                  "the notes of the next step",
       .files = {{"jsb-chorales-quarter.json", 407200, "",
                  "2db9329f1881a1d3f49703ec556bf1d6f84b4f6c1d702c156536e93cf31e1c91"}},
       .read = read_chorales,
       .advice = "take jsb-chorales-quarter.json from https://github.com/czhuang/JSB-Chorales-dataset"},
      {.name = "nmnist",
       .summary = "N-MNIST: 60,000 + 10,000 recordings of digits by an event camera, 34 x 34 x 2",
       .classes = letters("0123456789"),
       .files = folders({"Train", "Test"}),
       .read = read_nmnist,
       .advice = "take Train.zip and Test.zip from https://www.garrickorchard.com/datasets/n-mnist"},
      {.name = "cifar10-dvs",
       .summary = "CIFAR10-DVS: 10,000 recordings of pictures by an event camera, 128 x 128 x 2, 10 classes",
       .classes = cifar10_classes,
       .files = folders(cifar10_classes),
       .read = read_cifar10_dvs,
       .advice = "take the ten archives airplane.zip ... truck.zip from https://figshare.com/articles/dataset/"
                 "CIFAR10-DVS_New/4724671"},
      {.name = "dvs-gesture",
       .summary = "DVS128 Gesture: 1,176 + 288 recordings of gestures by an event camera, 128 x 128 x 2, 11 classes",
       .classes = {"hand_clapping", "right_hand_wave", "left_hand_wave", "right_arm_clockwise",
                   "right_arm_counter_clockwise", "left_arm_clockwise", "left_arm_counter_clockwise", "arm_roll",
                   "air_drums", "air_guitar", "other_gestures"},
       .files = folders({"DvsGesture"}),
       .read = read_dvs_gesture,
       .advice = "take DvsGesture.tar.gz from https://research.ibm.com/interactive/dvsgesture/"},
      {.name = "shd",
       .summary = "Spiking Heidelberg Digits: 8,156 + 2,264 spoken digits, 700 channels, 20 classes",
       .files = {{.name = "shd_train.h5"}, {.name = "shd_test.h5"}},
       .read = read_heidelberg,
       .advice = "take shd_train.h5.zip and shd_test.h5.zip from https://zenkelab.org/datasets/"},
      {.name = "ssc",
       .summary = "Spiking Speech Commands: 75,466 + 9,981 + 20,382 spoken words, 700 channels, 35 classes",
       .files = {{.name = "ssc_train.h5"}, {.name = "ssc_valid.h5"}, {.name = "ssc_test.h5"}},
       .read = read_heidelberg,
       .advice = "take ssc_train.h5.zip, ssc_valid.h5.zip and ssc_test.h5.zip from https://zenkelab.org/datasets/"},
      {.name = "delayed-xor",
       .summary = "2,000 + 500 generated sequences: exclusive or of two cues with a delay between them; needs no file",
       .classes = {"same", "different"},
       .read = make_delayed_xor},
  };
  for (Source& source : uci_sources()) table.push_back(std::move(source));
  return table;
}

}  // namespace

const std::vector<Source>& sources() {
  static const std::vector<Source> table = make_table();
  return table;
}

}  // namespace grapes::data
