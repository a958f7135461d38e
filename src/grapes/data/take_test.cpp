#include "grapes/data/take.h"

#include "grapes/data/archive.h"
#include "grapes/data/open.h"
#include "grapes/data/test_files.h"

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace grapes::data {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using Contents = std::map<std::string, std::string>;

/// Writes an archive whose format follows from its name.
void pack(const fs::path& path, const Contents& contents) {
  archive* out = archive_write_new();
  ASSERT_EQ(archive_write_set_format_filter_by_ext(out, path.c_str()), ARCHIVE_OK);
  ASSERT_EQ(archive_write_open_filename(out, path.c_str()), ARCHIVE_OK);
  for (const auto& [name, content] : contents) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_filetype(entry, name.ends_with('/') ? AE_IFDIR : AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    archive_write_header(out, entry);
    archive_write_data(out, content.data(), content.size());
    archive_entry_free(entry);
  }
  archive_write_close(out);
  archive_write_free(out);
}

Contents files_in(const fs::path& from) {
  Contents found;
  visit_files(from, [&](const StoredFile& file) { found[file.path.string()] = file.read(); });
  return found;
}

class Take : public testing::Test {
 protected:
  fs::path place(const std::string& name) const { return folder_.path() / name; }
  Splits opened(const std::string& name) const {
    Options options;
    options.data = name;
    options.download = false;
    options.validation_split = 0;
    return open(options, 1);
  }
  std::string message(const std::string& name, const fs::path& from) const {
    return refusal([&] { take(name, from); });
  }
  /// The four files of a source of IDX files, 10 images each.
  static Contents idx_files(const std::string& prefix, const std::string& test, const std::string& label_file) {
    Contents files;
    for (const std::string& part : {std::string("train"), test}) {
      files[prefix + part + "-images-idx3-ubyte.gz"] = gzip(idx_images_file(10, 2, 3));
      files[prefix + part + "-labels-idx1-ubyte.gz"] = gzip(label_file);
    }
    return files;
  }

  TemporaryFolder folder_;
  Variable cache_{"XDG_CACHE_HOME", (folder_.path() / "cache").string()};
  Variable data_{"GRAPES_DATA", ""};
};

TEST_F(Take, ArchivesOfEveryKindHaveTheSameFiles) {
  const Contents contents = {{"a/", ""}, {"a/b.txt", "one"}, {"a/c/d.bin", std::string(100000, 'x')}};
  for (const char* name : {"t.zip", "t.tar", "t.tar.gz", "t.tgz", "t.tar.xz", "t.7z"}) {
    pack(place(name), contents);
    EXPECT_THAT(files_in(place(name)), ElementsAre(Pair("a/b.txt", "one"), Pair("a/c/d.bin", std::string(100000, 'x'))))
        << name;
  }
  fs::create_directories(place("folder"));
  fs::rename(place("t.zip"), place("folder/t.zip"));
  write_file(place("folder/more/e.gz"), gzip("two"));
  EXPECT_THAT(files_in(place("folder")), ElementsAre(Pair("a/b.txt", "one"), Pair("a/c/d.bin", testing::_),
                                                     Pair("folder/more/e.gz", gzip("two"))));
  EXPECT_THAT(files_in(place("folder/more/e.gz")), ElementsAre(Pair("e.gz", gzip("two"))));
}

TEST_F(Take, ArchivesInAnArchiveAreOpened) {
  pack(place("inner.tar.gz"), {{"b.txt", "two"}});
  pack(place("bank.zip"), {{"a.txt", "one"}, {"x/inner.tar.gz", read_file(place("inner.tar.gz"))}});
  pack(place("outer.zip"), {{"bank.zip", read_file(place("bank.zip"))}, {"c.txt", "three"}});
  EXPECT_THAT(files_in(place("outer.zip")),
              ElementsAre(Pair("a.txt", "one"), Pair("b.txt", "two"), Pair("c.txt", "three")));

  pack(place("four.zip"), {{"outer.zip", read_file(place("outer.zip"))}});
  const Contents of_four = files_in(place("four.zip"));
  EXPECT_EQ(of_four.count("b.txt"), 0) << "only two levels are opened";
  EXPECT_EQ(of_four.count("x/inner.tar.gz"), 1);

  pack(place("outer.zip"), {{"bank.zip", "not an archive"}});
  EXPECT_THAT(refusal([&] { files_in(place("outer.zip")); }), HasSubstr("outer.zip: bank.zip: the archive is damaged"));
}

TEST_F(Take, ArchivesThatLeaveTheirFolderOrAreDamagedAreErrors) {
  for (const char* name : {"../out", "/etc/out", "a/../../out"}) {
    pack(place("bad.tar"), {{name, "x"}});
    EXPECT_THAT(refusal([&] { files_in(place("bad.tar")); }),
                AllOf(HasSubstr("bad.tar: the archive's entry '"), HasSubstr(name)))
        << name;
  }
  pack(place("t.tar.gz"), {{"a", std::string(100000, 'x')}});
  const std::string whole = read_file(place("t.tar.gz"));
  write_file(place("t.tar.gz"), whole.substr(0, whole.size() / 2));
  EXPECT_THAT(refusal([&] { files_in(place("t.tar.gz")); }), HasSubstr("t.tar.gz: the archive is damaged"));
  write_file(place("t.zip"), "not an archive");
  EXPECT_THAT(refusal([&] { files_in(place("t.zip")); }), HasSubstr("t.zip: the archive is damaged"));
  EXPECT_THAT(refusal([&] { files_in(place("missing")); }), HasSubstr("missing: no such file or folder"));
}

TEST_F(Take, EmnistIsReadFromItsArchiveAndTurnedUpright) {
  std::string labels = idx_labels_file(10);                                                      // 0 ... 9
  for (std::size_t i = 8; i < labels.size(); ++i) labels[i] = static_cast<char>(labels[i] + 1);  // letters: 1 ... 26
  Contents contents;
  for (const auto& [name, content] : idx_files("gzip/emnist-letters-", "test", labels)) contents[name] = content;
  for (const auto& [name, content] : idx_files("gzip/emnist-digits-", "test", idx_labels_file(10)))
    contents[name] = content;
  pack(place("gzip.zip"), contents);
  EXPECT_EQ(take("emnist-letters", place("gzip.zip")).folder, place("cache/grapes/data/emnist-letters"));
  const Splits letters = opened("emnist-letters");
  EXPECT_EQ(letters.info.classes.front(), "A");
  EXPECT_EQ(letters.info.outputs, 26);
  EXPECT_EQ(letters.test->targets()[9].item<std::int64_t>(), 9);
  EXPECT_EQ(letters.info.input_shape, (std::vector<std::int64_t>{1, 3, 2}));
  take("emnist-digits", place("gzip.zip"));
  EXPECT_EQ(opened("emnist-digits").test->targets()[9].item<std::int64_t>(), 9);
  EXPECT_THAT(message("emnist-mnist", place("gzip.zip")),
              AllOf(HasSubstr("emnist-mnist-train-images-idx3-ubyte"),
                    HasSubstr("were not found in it; take the four emnist-mnist-*")));
}

TEST_F(Take, QmnistUsesItsOwnLabels) {
  std::string labels = big_endian(3074) + big_endian(10) + big_endian(8);
  for (std::uint32_t i = 0; i < 10; ++i) {
    labels += big_endian(9 - i);
    for (std::uint32_t field = 1; field < 8; ++field) labels += big_endian(1000 + field);
  }
  for (const char* part : {"train", "test"}) {
    write_file(place(std::string("q/qmnist-") + part + "-images-idx3-ubyte.gz"), gzip(idx_images_file(10, 2, 3)));
    write_file(place(std::string("q/qmnist-") + part + "-labels-idx2-int.gz"), gzip(labels));
  }
  EXPECT_THAT(take("qmnist", place("q")).notes,
              testing::Contains(HasSubstr("differs from the published file of qmnist")));
  const Splits splits = opened("qmnist");
  EXPECT_EQ(splits.test->targets()[0].item<std::int64_t>(), 9);
  EXPECT_EQ(splits.test->size(), 10);
  labels[15] = 77;
  write_file(place("q/qmnist-test-labels-idx2-int.gz"), gzip(labels));
  take("qmnist", place("q"));
  EXPECT_THAT(refusal([&] { opened("qmnist"); }),
              HasSubstr("label 77 of record 0 (from 0) is out of range, expected 0 ... 9"));
}

TEST_F(Take, CifarIsReadFromItsBinaryArchiveAndPicklesAreErrors) {
  Contents contents, pickles;
  for (const char* name :
       {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"}) {
    contents[std::string("cifar-10-batches-bin/") + name + ".bin"] = std::string(3073, '\3');
    pickles[std::string("cifar-10-batches-py/") + name] = "\x80\x02}q\x01.";
  }
  pack(place("cifar-10-binary.tar.gz"), contents);
  take("cifar10", place("cifar-10-binary.tar.gz"));
  EXPECT_EQ(opened("cifar10").train->size(), 5);
  pack(place("cifar-10-python.tar.gz"), pickles);
  EXPECT_THAT(
      message("cifar10", place("cifar-10-python.tar.gz")),
      AllOf(HasSubstr("data_batch_1 is a Python pickle"), HasSubstr("take the files of cifar-10-binary.tar.gz")));
}

TEST_F(Take, FoldersKeepTheirTree) {
  const std::string event("\1\2\x80\0\5", 5);  // column 1, row 2, on, 5 microseconds
  Contents train, test;
  for (const char digit : std::string("0123456789")) {
    train[std::string("Train/") + digit + "/1.bin"] = event;
    test[std::string("Test/") + digit + "/1.bin"] = event;
  }
  fs::create_directories(place("n"));
  pack(place("n/Train.zip"), train);
  EXPECT_THAT(message("nmnist", place("n")),
              HasSubstr("n: Test of nmnist was not found in it; take Train.zip and Test.zip"));
  pack(place("n/Test.zip"), test);
  take("nmnist", place("n"));
  EXPECT_EQ(files_in(place("cache/grapes/data/nmnist")).at("nmnist/Test/7/1.bin"), event);
  EXPECT_EQ(opened("nmnist").train->size(), 10);
}

TEST_F(Take, FilesOfAnotherSourceAreAnError) {
  const fs::path mnist = shared_data("mnist");
  if (!fs::exists(mnist / "train-images-idx3-ubyte.gz")) GTEST_SKIP() << mnist << " is missing";
  EXPECT_THAT(message("kmnist", mnist), HasSubstr("this file belongs to mnist, expected that of kmnist"));
  EXPECT_TRUE(take("mnist", mnist).notes.empty());
  EXPECT_THAT(refusal<UsageError>([&] { take("digits", mnist); }), HasSubstr("embedded"));
}

}  // namespace
}  // namespace grapes::data
