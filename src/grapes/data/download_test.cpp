#include "grapes/data/download.h"

#include "grapes/base/interrupt.h"
#include "grapes/data/fetch.h"
#include "grapes/data/source.h"
#include "grapes/data/test_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <thread>

namespace grapes::data {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

/// Serves a folder by test_server.py on 127.0.0.1.
class Server {
 public:
  explicit Server(const fs::path& folder, const std::string& behavior = "") {
    const fs::path port_file = folder / "port";
    child_ = ::fork();
    if (child_ == 0) {
      const std::string script = std::string(GRAPES_SOURCE_DIR) + "/src/grapes/data/test_server.py";
      ::execlp("python3", "python3", script.c_str(), folder.c_str(), port_file.c_str(), behavior.c_str(), nullptr);
      ::_exit(127);
    }
    for (int i = 0; i < 200 && port_.empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      if (fs::exists(port_file)) port_ = read_file(port_file);
    }
  }
  ~Server() {
    ::kill(child_, SIGTERM);
    ::waitpid(child_, nullptr, 0);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::string url(const std::string& name = "") const { return "http://127.0.0.1:" + port_ + "/" + name; }

 private:
  pid_t child_ = 0;
  std::string port_;
};

class Downloads : public testing::Test {
 protected:
  void SetUp() override {
    for (unsigned i = 0; i < 300000; ++i) content_ += static_cast<char>(i * 7919 >> 8);
    write_file(site_.path() / "file.gz", content_);
    destination_ = home_.path() / "deep" / "file.gz";
    part_ = destination_.string() + ".part";
  }
  Download what(const Server& server) const {
    return {server.url("file.gz"), true, destination_, content_.size(), sha256(content_)};
  }
  std::string log() const { return read_file(site_.path() / "log"); }

  TemporaryFolder site_, home_;
  std::string content_;
  fs::path destination_, part_;
};

TEST_F(Downloads, DownloadAFileAndReportProgress) {
  const Server server(site_.path());
  std::uint64_t last = 0;
  download(what(server), [&](const std::string& name, std::uint64_t done, std::uint64_t total) {
    EXPECT_EQ(name, "file.gz");
    EXPECT_EQ(total, content_.size());
    EXPECT_GE(done, last);
    last = done;
  });
  EXPECT_EQ(read_file(destination_), content_);
  EXPECT_EQ(last, content_.size());
  EXPECT_FALSE(fs::exists(part_));
}

TEST_F(Downloads, ResumeWhereTheyStopped) {
  const Server server(site_.path());
  write_file(part_, content_.substr(0, 123456));
  download(what(server), {});
  EXPECT_EQ(read_file(destination_), content_);
  EXPECT_EQ(log(), "GET /file.gz bytes=123456-\n");
}

TEST_F(Downloads, StartAgainIfTheServerCannotResume) {
  const Server server(site_.path(), "no-range");
  write_file(part_, content_.substr(0, 1000));
  download(what(server), {});
  EXPECT_EQ(read_file(destination_), content_);
}

TEST_F(Downloads, RetryAfterABrokenConnection) {
  const Server server(site_.path(), "close=100000");  // every response ends after this many bytes
  download(what(server), {});
  EXPECT_EQ(read_file(destination_), content_);
  EXPECT_THAT(log(), HasSubstr("bytes=200000-"));
}

TEST_F(Downloads, KeepThePartThatArrivedBeforeAFailure) {
  const Server server(site_.path(), "close-at=150000");
  EXPECT_THAT(refusal([&] { download(what(server), {}); }), HasSubstr("(received 150000 of 300000 bytes)"));
  EXPECT_FALSE(fs::exists(destination_));
  EXPECT_EQ(read_file(part_), content_.substr(0, 150000));
}

TEST_F(Downloads, RejectFilesWithAWrongSha256) {
  const Server server(site_.path());
  Download wrong = what(server);
  wrong.sha256 = sha256("something else");
  EXPECT_THAT(refusal([&] { download(wrong, {}); }),
              AllOf(HasSubstr("SHA-256 " + sha256(content_)), HasSubstr("expected " + wrong.sha256)));
  EXPECT_FALSE(fs::exists(destination_));
  EXPECT_FALSE(fs::exists(part_));
  wrong = what(server);
  wrong.bytes -= 1;
  EXPECT_THAT(refusal([&] { download(wrong, {}); }), HasSubstr("longer than the expected 299999 bytes"));
  wrong.bytes += 2;
  EXPECT_THAT(refusal([&] { download(wrong, {}); }), HasSubstr("300000 bytes, expected 300001"));
  EXPECT_FALSE(fs::exists(destination_));
}

TEST_F(Downloads, ErrorsContainTheServersAnswer) {
  const Server server(site_.path());
  Download missing = what(server);
  missing.url += ".old";
  EXPECT_THAT(refusal([&] { download(missing, {}); }), AllOf(HasSubstr("file.gz.old"), HasSubstr("404")));
  Download plain = what(server);
  plain.insecure = false;
  EXPECT_THAT(refusal([&] { download(plain, {}); }), HasSubstr("rotocol"));
}

TEST_F(Downloads, StopAtASignalAndKeepThePartThatArrived) {
  const Server server(site_.path(), "slow");
  interrupt::install();
  std::string message;
  try {
    download(what(server), [](const std::string&, std::uint64_t done, std::uint64_t) {
      if (done > 0) std::raise(SIGINT);
    });
  } catch (const Interrupted& error) {
    message = error.what();
  }
  interrupt::clear();
  EXPECT_THAT(message, HasSubstr("stopped while fetching"));
  EXPECT_FALSE(fs::exists(destination_));
  EXPECT_TRUE(fs::exists(part_));
}

TEST(Fetch, BringsASourceFromAMirrorIntoTheCache) {
  const fs::path debian = "/usr/share/datasets/fashion-mnist";
  if (!fs::exists(debian)) GTEST_SKIP() << "dataset-fashion-mnist is missing";
  const TemporaryFolder site, cache;
  fs::create_directory_symlink(debian, site.path() / "fashion-mnist");
  const Server server(site.path());
  const Variable home("XDG_CACHE_HOME", cache.path().string());
  const Variable mirror("GRAPES_MIRROR", server.url());
  const fs::path folder = fetch("fashion-mnist", {});
  EXPECT_EQ(folder, cache.path() / "grapes" / "data" / "fashion-mnist");
  std::vector<std::string> lines;
  EXPECT_TRUE(verify("fashion-mnist", folder.string(), [&](const std::string& line) { lines.push_back(line); }));
  EXPECT_THAT(lines, testing::Each(HasSubstr(": correct")));
  EXPECT_EQ(lines.size(), 4U);

  // The second call downloads nothing. If a file is corrupt, only that file is downloaded again.
  const std::string log = read_file(site.path() / "log");
  fetch("fashion-mnist", {});
  EXPECT_EQ(read_file(site.path() / "log"), log);
  write_file(folder / "t10k-labels-idx1-ubyte.gz", "spoilt");
  lines.clear();
  EXPECT_FALSE(verify("fashion-mnist", folder.string(), [&](const std::string& line) { lines.push_back(line); }));
  EXPECT_THAT(lines, testing::Contains(HasSubstr("t10k-labels-idx1-ubyte.gz: not a gzip file")));
  fetch("fashion-mnist", {});
  EXPECT_EQ(read_file(site.path() / "log"), log + "GET /fashion-mnist/t10k-labels-idx1-ubyte.gz \n");
}

TEST(Fetch, ErrorsSayWhyADataSetCannotBeDownloaded) {
  EXPECT_THAT(refusal([] { fetch("emnist", {}); }), HasSubstr("emnist-balanced-*"));
  EXPECT_THAT(refusal<UsageError>([] { fetch("digits", {}); }), HasSubstr("embedded"));
  EXPECT_THAT(refusal<UsageError>([] { fetch("minst", {}); }), HasSubstr("did you mean 'mnist'"));
  const TemporaryFolder cache;
  const Variable home("XDG_CACHE_HOME", cache.path().string());
  const Variable mirror("GRAPES_MIRROR", "http://127.0.0.1:1");
  EXPECT_THAT(
      refusal([] { fetch("fashion-mnist", {}); }),
      AllOf(HasSubstr("cannot fetch fashion-mnist: http://127.0.0.1:1/fashion-mnist/train-images-idx3-ubyte.gz")));
}

TEST(Find, ReturnsTheFolderOfADataSet) {
  EXPECT_EQ(find("digits", "").where, "embedded");
  const TemporaryFolder folder;
  const Variable cache("XDG_CACHE_HOME", folder.path().string());
  const Variable data("GRAPES_DATA", "");
  const Found nothing = find("mnist", "");
  EXPECT_FALSE(nothing.complete);
  EXPECT_EQ(nothing.where, "");
  write_file(folder.path() / "train-images-idx3-ubyte.gz", "x");
  EXPECT_THAT(find("mnist", folder.path().string()).where, HasSubstr("incomplete, missing: train-labels"));
}

}  // namespace
}  // namespace grapes::data
