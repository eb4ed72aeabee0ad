#include "tests/crash/tree.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <linux/fs.h>
#include <nlohmann/json.hpp>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace crash {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t protection = FS_IMMUTABLE_FL | FS_APPEND_FL;

std::map<std::string, std::string> attributes_of(const std::string& path) {
  std::map<std::string, std::string> attributes;
  std::array<char, 4096> names{};
  const ssize_t length = llistxattr(path.c_str(), names.data(), names.size());
  if (length < 0) {
    if (errno == ENOTSUP) return attributes;
    stop("cannot list the attributes of " + shown(path) + ": " + std::strerror(errno));
  }
  for (const char* name = names.data(); name < names.data() + length;
       name += std::strlen(name) + 1) {
    std::array<char, 4096> value{};
    const ssize_t size = lgetxattr(path.c_str(), name, value.data(), value.size());
    if (size < 0) stop("cannot read attribute " + std::string(name) + " of " + shown(path));
    attributes[name] = std::string(value.data(), static_cast<std::size_t>(size));
  }
  return attributes;
}

std::uint32_t flags_of(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) return 0;
  unsigned int flags = 0;
  const int got = ioctl(descriptor, FS_IOC_GETFLAGS, &flags);
  close(descriptor);
  return got == 0 ? flags & protection : 0;
}

void look(const std::string& path, const std::string& name, Snapshot& into) {
  struct stat status{};
  if (lstat(path.c_str(), &status) != 0)
    stop("cannot look at " + shown(path) + ": " + std::strerror(errno));
  Facts facts;
  facts.kind = S_ISREG(status.st_mode) ? 'f' : S_ISDIR(status.st_mode) ? 'd' : '?';
  facts.mode = status.st_mode & 07777u;
  facts.owner = status.st_uid;
  facts.group = status.st_gid;
  facts.inode = status.st_ino;
  facts.links = status.st_nlink;
  facts.modified_ns = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
  facts.attributes = attributes_of(path);
  if (facts.kind != '?') facts.flags = flags_of(path);
  if (facts.kind == 'f') facts.bytes = read_file(path);
  const bool folder = facts.kind == 'd';
  into[name] = std::move(facts);
  if (!folder) return;
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    const std::string below = entry.path().filename().string();
    look(path + "/" + below, name.empty() ? below : name + "/" + below, into);
  }
}

void set_time(const std::string& path, std::int64_t seconds, long nanoseconds) {
  const std::array<timespec, 2> times = {timespec{seconds, nanoseconds},
                                         timespec{seconds, nanoseconds}};
  if (utimensat(AT_FDCWD, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0)
    stop("cannot set the time of " + shown(path) + ": " + std::strerror(errno));
}

std::string config_bytes(bool with_target) {
  std::string text =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n"
      "<!-- <virtualDirectory path=\"/probe\" physicalPath=\"C:\\ProgramData\\COM\" /> -->\r\n"
      "<configuration>\r\n  <system.applicationHost>\r\n    <sites>\r\n"
      "      <site name=\"Default Web Site\" id=\"1\">\r\n"
      "        <application path=\"/\">\r\n"
      "          <virtualDirectory path=\"/\" physicalPath=\"C:\\inetpub\\wwwroot\" />\r\n";
  if (with_target)
    text +=
        "          <virtualDirectory path=\"/probe\" physicalPath=\"C:\\ProgramData\\COM\" />\r\n";
  text +=
      "          <virtualDirectory path=\"/docs\" physicalPath=\"C:\\inetpub\\docs\" />\r\n"
      "        </application>\r\n      </site>\r\n    </sites>\r\n"
      "  </system.applicationHost>\r\n</configuration>\r\n";
  return text;
}

std::string sha256_of(const std::string& path) {
  // The path is this harness's own; single quotes keep it one word.
  std::string quoted;
  for (const char c : path) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  FILE* pipe = popen(("sha256sum < '" + quoted + "'").c_str(), "re");
  if (pipe == nullptr) stop("cannot run sha256sum");
  std::array<char, 65> digest{};
  const std::size_t length = std::fread(digest.data(), 1, 64, pipe);
  if (pclose(pipe) != 0 || length != 64) stop("sha256sum failed for " + shown(path));
  return digest.data();
}

/// Line, wait, file: a server that has the line in memory breaks when the file goes first.
void add_prepended(nlohmann::json& playbook, const std::string& tree, const Sample& sample) {
  playbook["scopes"].push_back(
      {{"id", "ini"}, {"folder", "/srv/www"}, {"include", {"**/.user.ini"}}});
  playbook["indicators"].push_back(
      {{"id", "line"},
       {"name", "A file before every page"},
       {"scopes", {"ini"}},
       {"setting",
        {{"provider", "php-user-ini"},
         {"kind", "directive"},
         {"where", {{{"name", "name"}, {"equals", "auto_prepend_file"}}}}}},
       {"confidence", "high"},
       {"authorises", "remove"}});
  playbook["indicators"].push_back({{"id", "named"},
                                    {"name", "The file that the line names"},
                                    {"scopes", {"web"}},
                                    {"match", {{"sha256", {sha256_of(tree + "/" + sample.named)}}}},
                                    {"confidence", "high"},
                                    {"authorises", "remove"}});
  const nlohmann::json steps = {
      {{"id", "take-out"},
       {"action", "reset_setting"},
       {"indicators", {"line"}},
       {"change", {{"kind", "remove_element"}}}},
      {{"id", "reload"}, {"action", "instruct"}, {"text", "Reload PHP."}, {"wait", true}},
      {{"id", "remove-named"}, {"action", "quarantine"}, {"indicators", {"named"}}}};
  for (const nlohmann::json& step : steps) playbook["steps"].push_back(step);
}

}  // namespace

void stop(const std::string& why) {
  std::fprintf(stderr, "cannot judge: %s\n", why.c_str());
  std::fflush(nullptr);
  _exit(3);
}

std::string shown(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    std::array<char, 5> code{};
    std::snprintf(code.data(), code.size(), "\\x%02x", byte);
    text += byte >= 0x20 && byte < 0x7f ? std::string(1, c) : std::string(code.data());
  }
  return text;
}

std::string read_file(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0) stop("cannot read " + shown(path) + ": " + std::strerror(errno));
  std::string bytes;
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t length = read(descriptor, buffer.data(), buffer.size());
    if (length < 0) stop("cannot read " + shown(path) + ": " + std::strerror(errno));
    if (length == 0) break;
    bytes.append(buffer.data(), static_cast<std::size_t>(length));
  }
  close(descriptor);
  return bytes;
}

void write_file(const std::string& path, const std::string& bytes, std::uint32_t mode) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (descriptor < 0) stop("cannot make " + shown(path) + ": " + std::strerror(errno));
  if (write(descriptor, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
      fchmod(descriptor, mode) != 0 || close(descriptor) != 0)
    stop("cannot write " + shown(path) + ": " + std::strerror(errno));
}

bool set_flags(const std::string& path, std::uint32_t flags) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) return false;
  unsigned int all = 0;
  bool done = ioctl(descriptor, FS_IOC_GETFLAGS, &all) == 0;
  all = (all & ~protection) | flags;
  done = done && ioctl(descriptor, FS_IOC_SETFLAGS, &all) == 0;
  close(descriptor);
  return done;
}

Snapshot snapshot(const std::string& folder) {
  Snapshot found;
  look(folder, "", found);
  return found;
}

std::vector<std::string> differences(const Facts& wanted, const Facts& found, Compare compare) {
  std::vector<std::string> all;
  const auto check = [&](const char* what, auto before, auto now) {
    if (before != now)
      all.push_back(std::string(what) + " is " + std::to_string(now) + ", was " +
                    std::to_string(before));
  };
  if (wanted.kind != found.kind) all.emplace_back("it is of another kind");
  check("mode", wanted.mode, found.mode);
  check("owner", wanted.owner, found.owner);
  check("group", wanted.group, found.group);
  if (compare.flags) check("protection flags", wanted.flags, found.flags);
  if (compare.inode) check("inode", wanted.inode, found.inode);
  if (compare.modified) check("modification time (ns)", wanted.modified_ns, found.modified_ns);
  if (wanted.kind == 'f' && compare.links) check("number of links", wanted.links, found.links);
  if (wanted.attributes != found.attributes) all.emplace_back("extended attributes differ");
  if (compare.bytes && wanted.bytes != found.bytes)
    all.push_back("its bytes differ (" + std::to_string(found.bytes.size()) + " bytes, were " +
                  std::to_string(wanted.bytes.size()) + ")");
  return all;
}

std::vector<std::string> differences(const Snapshot& wanted, const Snapshot& found, bool inodes) {
  std::vector<std::string> all;
  for (const auto& [name, facts] : wanted) {
    const auto now = found.find(name);
    if (now == found.end()) {
      all.push_back(shown(name) + " is missing");
      continue;
    }
    const bool file = facts.kind == 'f';
    for (const std::string& one :
         differences(facts, now->second, {.inode = inodes, .modified = file}))
      all.push_back(shown(name) + ": " + one);
  }
  for (const auto& [name, facts] : found)
    if (!wanted.contains(name)) all.push_back(shown(name) + " is a leftover");
  return all;
}

std::vector<std::string> Sample::originals() const {
  std::vector<std::string> all = targets;
  for (const auto& [name, bytes] : exchanged) all.push_back(name);
  return all;
}

Sample build_sample(const std::string& folder, bool all) {
  Sample sample;
  sample.targets = {"srv/www/odd/odd\xff\n na'me \xe2\x80\xae$(x).php", "srv/www/up/pair-a.php",
                    "srv/www/up/pair-b.php"};
  sample.config = "Windows/System32/inetsrv/config/applicationHost.config";
  sample.exchanged[sample.config] = config_bytes(false);
  for (const char* name :
       {"srv/www/odd", "srv/www/up", "srv/www/good", "Windows/System32/inetsrv/config",
        "inetpub/history/CFGHISTORY_0000000001"})
    fs::create_directories(folder + "/" + name);

  const bool root = geteuid() == 0;
  const auto make = [&](const std::string& name, const std::string& bytes, std::uint32_t mode,
                        std::int64_t seconds, long nanoseconds) {
    const std::string path = folder + "/" + name;
    write_file(path, bytes, mode);
    if (root && lchown(path.c_str(), 33, 34) != 0) stop("cannot change the owner of " + path);
    if (chmod(path.c_str(), mode) != 0) stop("cannot change the mode of " + path);
    set_time(path, seconds, nanoseconds);
    return path;
  };
  const std::string odd =
      make(sample.targets[0], "inert sample one\n", 0640, 1600000000, 123456789);
  if (lsetxattr(odd.c_str(), "user.origin", "a\0b", 3, 0) != 0)
    stop("this file system has no user attributes; use --folder");
  make(sample.targets[1], std::string(70000, 'a') + "inert sample two", 0604, 1600000001, 1);
  const std::string fixed =
      make(sample.targets[2], "inert sample three", 0444, 1600000002, 999999999);
  make(sample.config, config_bytes(true), 0640, 1600000003, 42);
  if (all) {
    sample.targets.insert(sample.targets.end(), {"srv/www/odd/twin.php", "srv/www/up/twin.php"});
    const std::string first = make(sample.targets[3], "inert sample four", 0600, 1600000009, 9);
    if (link(first.c_str(), (folder + "/" + sample.targets[4]).c_str()) != 0)
      stop("this file system has no hard links; use --folder");
    sample.replaced = "srv/www/auth/login.php";
    sample.good = "a login page as it was shipped\n";
    sample.exchanged[sample.replaced] = sample.good;
    fs::create_directories(folder + "/srv/www/auth");
    const std::string login = make(sample.replaced, "inert sample five", 0644, 1600000010, 10);
    if (lsetxattr(login.c_str(), "user.origin", "c", 1, 0) != 0)
      stop("this file system has no user attributes; use --folder");
    if (root && !set_flags(login, FS_IMMUTABLE_FL))
      stop("this file system has no immutable flag; use --folder");
    sample.naming = "srv/www/pre/.user.ini";
    sample.named = "srv/www/pre/first.php";
    sample.line = "auto_prepend_file = \"/srv/www/pre/first.php\"\n";
    sample.exchanged[sample.naming] = "; a good line\nmemory_limit = 64M\n";
    sample.targets.push_back(sample.named);
    fs::create_directories(folder + "/srv/www/pre");
    make(sample.naming, "; a good line\n" + sample.line + "memory_limit = 64M\n", 0640, 1600000011,
         11);
    make(sample.named, "inert sample six", 0600, 1600000012, 12);
  }
  make("srv/www/odd/odd.php", "a good neighbour\n", 0640, 1600000004, 5);
  make("srv/www/up/pair-c.php", "another good one\n", 0644, 1600000005, 6);
  make("srv/www/good/index.html", "<p>good</p>\n", 0644, 1600000006, 7);
  make("Windows/System32/inetsrv/config/administration.config", "<configuration />\n", 0600,
       1600000007, 8);
  // An edit has it copied first.
  make("inetpub/history/CFGHISTORY_0000000001/applicationHost.config", config_bytes(false), 0600,
       1600000008, 9);
  if (root && !set_flags(fixed, FS_IMMUTABLE_FL))
    stop("this file system has no immutable flag; use --folder");
  return sample;
}

std::string good_folder(const std::string& playbook) { return playbook + ".good"; }

void write_playbook(const std::string& file, const std::string& tree, const Sample& sample) {
  nlohmann::json digests = nlohmann::json::array();
  for (const std::string& target : sample.targets)
    if (target != sample.named) digests.push_back(sha256_of(tree + "/" + target));
  nlohmann::json playbook = {
      {"format_version", 1},
      {"id", "playbook--5f0d7c1a-3a52-4d0b-8a64-0d6b2f6c9e11"},
      {"name", "Kill sweep"},
      {"description", "Removes the files and the setting of the kill sweep's tree."},
      {"revision", 1},
      {"created", "2026-01-01T00:00:00Z"},
      {"modified", "2026-01-01T00:00:00Z"},
      {"author", "tests/crash"},
      {"tlp", "clear"},
      {"references", {{{"source", "tests/crash"}}}},
      {"attack", {"T1505.003"}},
      {"scopes", {{{"id", "web"}, {"folder", "/srv/www"}, {"include", {"**"}}}}},
      {"indicators",
       {{{"id", "files"},
         {"name", "Files of the sweep"},
         {"scopes", {"web"}},
         {"match", {{"sha256", digests}}},
         {"confidence", "high"},
         {"authorises", "remove"}},
        {{"id", "directory"},
         {"name", "Virtual directory of the sweep"},
         {"setting",
          {{"provider", "iis-xml"},
           {"files", {"C:\\Windows\\System32\\inetsrv\\config\\applicationHost.config"}},
           {"kind", "virtualDirectory"},
           {"where", {{{"name", "path"}, {"equals", "/probe"}}}}}},
         {"confidence", "high"},
         {"authorises", "remove"}}}},
      {"steps",
       {{{"id", "unmap"},
         {"action", "reset_setting"},
         {"indicators", {"directory"}},
         {"change", {{"kind", "remove_element"}}}},
        {{"id", "tell"}, {"action", "instruct"}, {"text", "Look where the files came from."}},
        {{"id", "remove"}, {"action", "quarantine"}, {"indicators", {"files"}}}}}};
  if (!sample.replaced.empty()) {
    fs::create_directories(good_folder(file));
    const std::string good =
        good_folder(file) + "/" + fs::path(sample.replaced).filename().string();
    write_file(good, sample.good);
    playbook["indicators"].push_back(
        {{"id", "overwritten"},
         {"name", "A page of the product that was overwritten"},
         {"scopes", {"web"}},
         {"match", {{"sha256", {sha256_of(tree + "/" + sample.replaced)}}}},
         {"confidence", "high"},
         {"authorises", "remove"}});
    const nlohmann::json put_back = {{"id", "put-back"},
                                     {"action", "replace_file"},
                                     {"indicators", {"overwritten"}},
                                     {"known_good",
                                      {{{"name", fs::path(sample.replaced).filename().string()},
                                        {"sha256", {sha256_of(good)}}}}}};
    playbook["steps"].insert(playbook["steps"].begin() + 1, put_back);
  }
  if (!sample.named.empty()) add_prepended(playbook, tree, sample);
  write_file(file, playbook.dump(1) + "\n");
}

bool can_hold_sample(const std::string& folder) {
  std::string name = folder + "/crash-probe.XXXXXX";
  const int descriptor = mkstemp(name.data());
  if (descriptor < 0) return false;
  close(descriptor);
  const bool attributes = lsetxattr(name.c_str(), "user.origin", "a", 1, 0) == 0;
  const bool flags = geteuid() != 0 || set_flags(name, FS_IMMUTABLE_FL);
  set_flags(name, 0);
  unlink(name.c_str());
  return attributes && flags;
}

void keep_mounts_private() {
  if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    stop(std::string("no mounts of its own: ") + std::strerror(errno));
}

void mount_apart(const std::string& folder) {
  fs::create_directories(folder);
  if (mount("none", folder.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=8m,mode=755") != 0)
    stop("cannot mount at " + folder + ": " + std::strerror(errno));
}

void remove_tree(const std::string& folder) {
  (void)umount2((folder + "/tree").c_str(), MNT_DETACH);
  std::error_code error;
  fs::remove_all(folder, error);
  if (!error) return;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder, error))
    if (entry.is_regular_file() && !entry.is_symlink()) set_flags(entry.path().string(), 0);
  fs::remove_all(folder, error);
  if (error) stop("cannot remove " + folder + ": " + error.message());
}

}  // namespace crash
