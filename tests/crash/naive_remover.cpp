// A remover as scripts do it: copies to its hold, unlinks, and records after the effect. It works
// as long as nothing kills it. The self-test of the kill sweep must find it out.
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace {

namespace fs = std::filesystem;

std::string slurp(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void spill(const std::string& path, const std::string& bytes) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (write(descriptor, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) _exit(1);
  close(descriptor);
}

unsigned flags(const std::string& path, const unsigned* set) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  unsigned now = 0;
  ioctl(descriptor, FS_IOC_GETFLAGS, &now);
  const unsigned was = now & FS_IMMUTABLE_FL;
  if (set != nullptr && was != *set) {
    now = (now & ~static_cast<unsigned>(FS_IMMUTABLE_FL)) | *set;
    ioctl(descriptor, FS_IOC_SETFLAGS, &now);
  }
  close(descriptor);
  return was;
}

/// The copy has everything that the original has.
void copy(const std::string& from, const std::string& to) {
  spill(to, slurp(from));
  struct stat facts{};
  if (stat(from.c_str(), &facts) != 0) _exit(1);
  std::array<char, 256> value{};
  if (const ssize_t size = getxattr(from.c_str(), "user.origin", value.data(), value.size());
      size > 0)
    setxattr(to.c_str(), "user.origin", value.data(), static_cast<std::size_t>(size), 0);
  if (chown(to.c_str(), facts.st_uid, facts.st_gid) != 0 && geteuid() == 0) _exit(1);
  chmod(to.c_str(), facts.st_mode & 07777u);
  const std::array<timespec, 2> times = {facts.st_atim, facts.st_mtim};
  utimensat(AT_FDCWD, to.c_str(), times.data(), 0);
}

struct Naive {
  std::string store, root;
  [[nodiscard]] std::string run() const { return store + "/runs/run-naive"; }
  [[nodiscard]] std::string journal() const { return store + "/journal/run-naive.jsonl"; }
  [[nodiscard]] std::string hold(std::size_t n) const {
    return store + "/hold/" + std::to_string(n);
  }

  [[nodiscard]] std::vector<std::string> targets() const {
    const std::string top = slurp(store + "/root");
    return {top + "/srv/www/odd/odd\xff\n na'me \xe2\x80\xae$(x).php",
            top + "/srv/www/up/pair-a.php", top + "/srv/www/up/pair-b.php",
            top + "/Windows/System32/inetsrv/config/applicationHost.config"};
  }

  void record(std::size_t n, unsigned was) const {
    std::ofstream(journal(), std::ios::app) << n << ' ' << was << '\n';
  }

  void apply() const {
    fs::create_directories(run());
    const std::vector<std::string> all = targets();
    for (std::size_t n = 0; n < all.size(); ++n) {
      if (!fs::exists(all[n])) continue;
      const bool config = n + 1 == all.size();
      std::string bytes = slurp(all[n]);
      const std::size_t at = bytes.rfind("<virtualDirectory path=\"/probe\"");
      if (config && bytes.find("<virtualDirectory path=\"/probe\"") == at) continue;  // done
      copy(all[n], hold(n));
      const unsigned none = 0;
      const unsigned was = flags(all[n], &none);
      if (config) {
        const std::size_t start = bytes.rfind('\n', at) + 1;
        spill(all[n], bytes.erase(start, bytes.find('\n', at) + 1 - start));
      } else {
        unlink(all[n].c_str());
      }
      record(n, was);
    }
  }

  void rollback() const {
    std::ifstream records(journal());
    const std::vector<std::string> all = targets();
    std::size_t n = 0;
    unsigned was = 0;
    while (records >> n >> was) {
      if (!fs::exists(hold(n))) continue;
      copy(hold(n), all.at(n));
      flags(all.at(n), &was);
      unlink(hold(n).c_str());
    }
  }
};

}  // namespace

int main(int count, char** words) {
  Naive naive;
  std::string verb, plan;
  for (int index = 1; index < count; ++index) {
    const std::string word = words[index];
    if (word == "--store")
      naive.store = words[++index];
    else if (word == "--root")
      naive.root = words[++index];
    else if (word == "-o")
      plan = words[++index];
    else if (word == "-p" || word == "--confirm" || word == "--format")
      ++index;
    else if (word[0] != '-' && verb.empty())
      verb = word;
  }
  if (verb == "init") {
    for (const char* folder : {"/hold", "/runs", "/journal", "/objects"})
      fs::create_directories(naive.store + folder);
  } else if (verb == "plan") {
    spill(naive.store + "/root", naive.root);
    spill(plan, "{\"plan_id\": \"naive\"}");
  } else if (verb == "apply" || verb == "resume") {
    naive.apply();
  } else if (verb == "rollback") {
    naive.rollback();
  }
  std::puts("{\"ok\": true, \"status\": \"done\"}");
  return 0;
}
