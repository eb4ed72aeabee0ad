// An error of the system at every call that the host makes: none may be swallowed, and none may
// change what it must not.
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "remediate/host/child.h"
#include "remediate/host/confine.h"
#include "remediate/host/durable.h"
#include "remediate/host/link_reader.h"
#include "tests/contract/failing_calls.h"
#include "tests/contract/host_worlds.h"

using namespace remediate;
using namespace remediate::contract;
using host::Access;
using host::Directory;
using host::File;
using host::Mounts;

namespace {

constexpr const char* text = "some bytes that must stay\n";

/// What the operations work on. Everything is opened before an error can strike.
template <class World>
struct Scene {
  World world;
  std::unique_ptr<Directory> folder;
  std::unique_ptr<File> read, write, holes;
  Metadata wanted;
  std::size_t attributes = 0;  // as many as the file system took

  Scene() {
    make_file(world.root(), "file", text);
    make_file(world.root(), "other", "other\n");
    folder = make_folder(world.root(), "folder");
    make_file(*folder, "inner", "inner\n");
    make_folder(*folder, "deep");
    make_folder(world.root(), "empty");
    world.plant_link("link", "nowhere");
    const std::string path = world.root_path() + "/file";
    (void)::setxattr(path.c_str(), "user.one", "1", 1, 0);
    (void)::setxattr(path.c_str(), "user.two", "2", 1, 0);
    {
      const auto sparse = must(world.root().create_file("holes", 0600));
      must(sparse->write_at(0, std::string(4096, 'x')));
      must(sparse->write_at(1u << 18, std::string(4096, 'y')));
    }
    read = must(world.root().open_file("file", Access::read));
    write = must(world.root().open_file("other", Access::read_write));
    holes = must(world.root().open_file("holes", Access::read));
    wanted = must(read->metadata());
    attributes = wanted.attributes.size();
    wanted.stat.mode = 0640;
    wanted.stat.owner = 4711;
    wanted.stat.modified = {1'500'000'000, 5};
    wanted.attributes = {{"user.one", "changed"}, {"user.three", "3"}};
  }
  Directory& root() { return world.root(); }
};

template <class T>
Result<void> told(const Result<T>& result) {
  if (result) return {};
  return std::unexpected(result.error());
}

template <class World>
struct Operation {
  const char* name;
  std::function<Result<void>(Scene<World>&)> act;
  /// Calls whose failure may leave the operation a success: it has another way, or what it asks
  /// for is not needed.
  const char* other_way = "";

  [[nodiscard]] bool has_other_way(const std::string& call) const {
    return (" " + std::string(other_way) + " ").find(" " + call + " ") != std::string::npos;
  }
};

/// What a file system says that has no holes, attributes or flags: an answer, not a failure.
bool means_absent(int error) {
  const std::set<int> absent{ENOSYS, EOPNOTSUPP, EINVAL, ENOTTY, ENODATA, ENXIO};
  return absent.contains(error);
}

Result<void> expect(bool good, const std::string& what) {
  if (good) return {};
  return fail(Code::internal, "a wrong answer without an error: " + what);
}

template <class World>
std::vector<Operation<World>> operations() {
  using S = Scene<World>;
  return {
      {"stat", [](S& s) { return told(s.root().stat()); }},
      {"open a folder",
       [](S& s) { return told(s.root().open_directory(path("folder/deep"), Mounts::stay)); },
       "openat2"},
      {"open across mounts",
       [](S& s) { return told(s.root().open_directory(path("folder/deep"), Mounts::cross)); },
       "openat2"},
      {"open it again",
       [](S& s) { return told(s.root().open_directory(RawPath(), Mounts::stay)); }},
      {"stat_entry", [](S& s) { return told(s.root().stat_entry("file")); }},
      {"read_link",
       [](S& s) { return told(dynamic_cast<host::LinkReader&>(s.root()).read_link("link")); }},
      {"open to read", [](S& s) { return told(s.root().open_file("file", Access::read)); }},
      {"open to write", [](S& s) { return told(s.root().open_file("file", Access::read_write)); }},
      {"create", [](S& s) { return told(s.root().create_file("new", 0600)); }},
      {"unnamed",
       [](S& s) -> Result<void> {
         auto file = s.root().create_unnamed(0600);
         if (!file) return told(file);
         return s.root().link_file(**file, "new");
       }},
      {"make_directory", [](S& s) { return s.root().make_directory("new", 0700); }},
      {"rename", [](S& s) { return s.root().rename("file", *s.folder, "moved"); }},
      {"exchange", [](S& s) { return s.root().exchange("file", *s.folder, "inner"); }},
      {"replace", [](S& s) { return s.root().replace("file", "other"); }},
      {"remove_file", [](S& s) { return s.root().remove_file("other"); }},
      {"remove_directory", [](S& s) { return s.root().remove_directory("empty"); }},
      {"space", [](S& s) { return told(s.root().space()); }},
      {"writable_mount", [](S& s) { return told(s.root().writable_mount()); }},
      {"filesystem_type", [](S& s) { return told(s.root().filesystem_type()); }},
      {"each_entry",
       [](S& s) -> Result<void> {
         std::size_t seen = 0;
         const auto listed = s.root().each_entry([&](std::string_view, FileKind) {
           ++seen;
           return true;
         });
         if (!listed) return listed;
         return expect(seen == 6, "a short list");
       }},
      {"times of a folder", [](S& s) { return s.folder->set_times({1, 2}, {3, 4}); }},
      {"inode_flags", [](S& s) { return told(s.root().inode_flags()); }},
      {"mount_top", [](S& s) { return told(s.root().mount_top()); }, "readlink"},
      {"lock a new name", [](S& s) { return told(s.root().lock("lock")); }},
      {"lock a file", [](S& s) { return told(s.root().lock("other")); }},
      {"open_root", [](S& s) { return told(s.world.host().open_root(s.world.root_path())); },
       "readlink"},
      {"make_root",
       [](S& s) { return told(s.world.host().make_root(s.world.root_path() + "/new//b")); },
       "readlink"},
      {"a file's stat", [](S& s) { return told(s.read->stat()); }},
      {"metadata",
       [](S& s) -> Result<void> {
         const auto metadata = s.holes->metadata();
         if (!metadata) return told(metadata);
         return expect(metadata->sparse && metadata->extents.size() == 2, "no holes");
       }},
      {"attributes",
       [](S& s) -> Result<void> {
         const auto metadata = s.read->metadata();
         if (!metadata) return told(metadata);
         return expect(metadata->attributes.size() == s.attributes, "attributes are missing");
       }},
      {"read",
       [](S& s) -> Result<void> {
         const auto bytes = host::read_whole(*s.read, 1000);
         if (!bytes) return told(bytes);
         return expect(*bytes == text, "other bytes");
       }},
      {"write", [](S& s) { return s.write->write_at(3, "more"); }},
      {"truncate", [](S& s) { return s.write->truncate(2); }},
      {"reserve", [](S& s) { return s.write->reserve(10'000); }},
      {"has_other_writers", [](S& s) { return told(s.read->has_other_writers()); }},
      {"restore_metadata",
       [](S& s) -> Result<void> {
         const auto missing = s.read->restore_metadata(s.wanted, host::Privileges::strip);
         if (!missing) return told(missing);
         return missing->empty() ? Result<void>{} : fail(Code::unsupported, missing->front());
       }},
      {"set_times", [](S& s) { return s.read->set_times({1, 2}, {3, 4}); }},
      {"flags",
       [](S& s) -> Result<void> {
         const auto set = s.read->set_protection_flags(host::flag_immutable);
         if (!set) return set;
         return s.read->set_protection_flags(0);
       }},
      {"write_durable, new", [](S& s) { return host::write_durable(s.root(), "new", "bytes"); },
       "openat"},
      {"write_durable, again", [](S& s) { return host::write_durable(s.root(), "other", "bytes"); },
       "openat linkat"},
      {"ensure_directory", [](S& s) { return told(host::ensure_directory(s.root(), "new", 0700)); },
       "openat2"},
  };
}

/// The file is somewhere once, with its bytes, whatever became of its name.
template <class World>
bool kept(Scene<World>& scene) {
  std::size_t found = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(scene.world.root_path()))
    if (entry.is_regular_file()) {
      const auto folder = must(scene.world.host().open_root(entry.path().parent_path()));
      const std::string bytes = read_file(*folder, entry.path().filename().string());
      if (bytes == text) ++found;
    }
  return found == 1;
}

struct Count {
  std::size_t tries = 0, errors = 0;
};

/// Each call of each operation fails with `error`, `count` of them from there on.
template <class World, class Judge>
Count each_call(int error, std::size_t count, const Judge& judge) {
  Count total;
  for (const Operation<World>& operation : operations<World>()) {
    for (std::size_t at = 0; at < 100; ++at) {
      Scene<World> scene;
      Result<void> result;
      std::string call;
      {
        const FailingCalls failing(at, error, count);
        result = operation.act(scene);
        call = failing.first();
      }
      if (std::string_view(operation.name) == "flags") (void)scene.read->set_protection_flags(0);
      if (call.empty()) {
        if (!result && result.error().code != Code::unsupported) FAIL(result.error().text());
        REQUIRE(at < 99);
        break;
      }
      ++total.tries;
      INFO(operation.name << ", " << call << ", call " << at << ", errno " << error);
      if (!result) {
        ++total.errors;
        INFO(result.error().text());
        if (!means_absent(error)) CHECK(result.error().code != Code::internal);
        CHECK_FALSE(result.error().message.empty());
      }
      CHECK(kept(scene));
      judge(operation, call, result);
    }
  }
  return total;
}

}  // namespace

TEMPLATE_TEST_CASE("no error of a disk is swallowed", "[errors]", KernelWorld, StepwiseWorld) {
  const Count count = each_call<TestType>(
      EIO, 1,
      [](const Operation<TestType>& operation, const std::string& call, const auto& result) {
        if (!operation.has_other_way(call)) CHECK_FALSE(result);
      });
  std::cout << "errors: EIO once at " << count.tries << " calls, " << count.errors << " told\n";
  CHECK(count.tries > 80);
}

TEMPLATE_TEST_CASE("a signal changes no result", "[errors]", KernelWorld, StepwiseWorld) {
  const Count count = each_call<TestType>(
      EINTR, 1, [](const Operation<TestType>&, const std::string& call, const auto& result) {
        if (call != "fcntl") CHECK((result || result.error().code == Code::unsupported));
      });
  CHECK(count.tries > 80);
}

TEMPLATE_TEST_CASE("a call that is never answered ends as an error", "[errors]", KernelWorld,
                   StepwiseWorld) {
  const int error = GENERATE(EINTR, ENOMEM);
  const Count count = each_call<TestType>(
      error, 10'000,
      [](const Operation<TestType>& operation, const std::string& call, const auto& result) {
        if (call != "readlink" && std::string_view(operation.name) != "has_other_writers")
          CHECK_FALSE(result);
      });
  CHECK(count.tries > 80);
}

TEMPLATE_TEST_CASE("every other error is told or has another way", "[errors]", KernelWorld,
                   StepwiseWorld) {
  const int error = GENERATE(EPERM, EACCES, ENOENT, EEXIST, ENOSPC, EROFS, EXDEV, ENOSYS, EINVAL,
                             EOPNOTSUPP, ENODATA, ERANGE, E2BIG, ENXIO, EISDIR, ENOLCK, ELOOP);
  Count sum;
  for (const std::size_t times : {std::size_t{1}, std::size_t{10'000}}) {
    const Count count = each_call<TestType>(
        error, times, [](const Operation<TestType>&, const std::string&, const auto&) {});
    sum.tries += count.tries;
    sum.errors += count.errors;
  }
  std::cout << "errors: errno " << error << " at " << sum.tries << " calls, " << sum.errors
            << " told\n";
  CHECK(sum.errors > 60);
}

TEST_CASE("after a flush that failed none of the process succeeds", "[errors]") {
  for (const char* call : {"fsync", "fdatasync", "syncfs"}) {
    INFO(call);
    CHECK(apart([&]() -> std::string {
            Scene<KernelWorld> scene;
            const auto flush = [&](const std::string& how) {
              if (how == "fdatasync") return scene.write->sync_data();
              return how == "fsync" ? scene.write->sync() : scene.root().sync_filesystem();
            };
            {
              const FailingCall failing(call, EIO, 1);
              const auto flushed = flush(call);
              if (flushed || flushed.error().os_error != EIO) return "the error was not told";
            }
            for (const char* other : {"fsync", "fdatasync", "syncfs"})
              if (flush(other)) return std::string(other) + " succeeds";
            if (scene.root().sync()) return "a folder's flush succeeds";
            return "";
          }) == "");
  }
}

TEMPLATE_TEST_CASE("what no caller may ask for is refused before the system is asked", "[errors]",
                   KernelWorld, StepwiseWorld) {
  TestType world;
  make_file(world.root(), "file", "x");
  const auto file = must(world.root().open_file("file", Access::read_write));
  constexpr std::uint64_t far = ~0ull;
  CHECK(file->truncate(far).error().os_error == EFBIG);
  CHECK(file->reserve(far).error().os_error == EFBIG);
  CHECK(file->write_at(far / 2 - 1, "abc").error().os_error == EFBIG);
  must(file->reserve(0));
  CHECK(code_of(world.host().open_root(std::string("/a\0b", 4))) == Code::bad_input);
  CHECK(code_of(world.host().make_root("")) == Code::bad_input);
  MemoryWorld other;
  make_file(other.root(), "file", "x");
  const auto foreign = must(other.root().create_unnamed(0600));
  CHECK(code_of(world.root().link_file(*foreign, "new")) == Code::internal);
  CHECK(code_of(world.root().rename("file", other.root(), "new")) == Code::internal);
  CHECK(code_of(other.root().link_file(*file, "new")) == Code::internal);
  CHECK(code_of(other.root().rename("file", world.root(), "new")) == Code::internal);
  CHECK(code_of(other.root().exchange("file", world.root(), "file")) == Code::internal);
}

TEMPLATE_TEST_CASE("a link that is longer than any is not told by half", "[errors]", KernelWorld,
                   StepwiseWorld) {
  TestType world;
  world.plant_link("link", "target");
  const auto& links = dynamic_cast<const host::LinkReader&>(world.root());
  {
    const FailingCall longer("readlinkat", 0, 1, 4097);
    CHECK(code_of(links.read_link("link")) == Code::limit);
  }
  CHECK(must(links.read_link("link")) == "target");
}

TEMPLATE_TEST_CASE("every kind of entry is told", "[errors]", KernelWorld, StepwiseWorld) {
  TestType world;
  make_file(world.root(), "file", "x");
  make_folder(world.root(), "folder");
  world.plant_link("link", "file");
  std::set<FileKind> wanted{FileKind::regular, FileKind::directory, FileKind::symlink};
  for (const auto& [name, kind] : {std::pair("fifo", FileKind::fifo),
                                   {"socket", FileKind::socket},
                                   {"block", FileKind::block_device},
                                   {"char", FileKind::char_device}})
    if (world.plant(name, kind)) wanted.insert(kind);
  std::set<FileKind> listed;
  must(world.root().each_entry([&](std::string_view name, FileKind kind) {
    listed.insert(kind);
    CHECK(must(world.root().stat_entry(name)).kind == kind);
    return true;
  }));
  CHECK(listed == wanted);
}

TEMPLATE_TEST_CASE("a lock whose name goes to other files is not taken", "[errors]", KernelWorld,
                   StepwiseWorld) {
  TestType world;
  const std::string path = world.root_path() + "/lock";
  int replaced = 0;
  const CallHook hook([&](const std::string& call) -> std::optional<long> {
    if (call == "fcntl") {
      const std::string next = path + std::to_string(++replaced);
      const int fd = ::open(next.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
      if (fd >= 0) ::close(fd);
      (void)std::rename(next.c_str(), path.c_str());
    }
    return std::nullopt;
  });
  CHECK(code_of(world.root().lock("lock")) == Code::busy);
  CHECK(replaced > 1);
}

TEMPLATE_TEST_CASE("without unnamed files a durable write that fails leaves nothing", "[errors]",
                   KernelWorld, StepwiseWorld) {
  TestType world;
  const bool stuck = GENERATE(false, true);
  {
    int opened = 0;
    const CallHook hook([&](const std::string& call) -> std::optional<long> {
      errno = call == "openat" ? EOPNOTSUPP : ENOSPC;
      if (call == "openat" && opened++ == 0) return -1;
      if (call == "pwrite" || (stuck && call == "unlinkat")) return -1;
      return std::nullopt;
    });
    const auto written = host::write_durable(world.root(), "new", "bytes");
    REQUIRE_FALSE(written);
    CHECK(written.error().code == Code::no_space);
    CHECK(written.error().causes.size() == (stuck ? 1 : 0));
  }
  std::size_t left = 0;
  must(world.root().each_entry([&](std::string_view, FileKind) { return ++left > 0; }));
  CHECK(left == (stuck ? 1 : 0));
}
