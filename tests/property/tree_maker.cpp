#include "tree_maker.h"

#include <array>
#include <cerrno>
#include <stdexcept>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace property {

const char* const marker = "inert text that stands for a shell";

namespace {

constexpr std::size_t block = 4096;

void append_16(std::string& text, unsigned value) {
  text += static_cast<char>(value & 255u);
  text += static_cast<char>(value >> 8);
}

void append_32(std::string& text, unsigned value) {
  append_16(text, value & 0xffffu);
  append_16(text, value >> 16);
}

class Maker {
 public:
  Maker(const std::string& root, Random& random) : root_(root), random_(random) {}

  MadeTree run() {
    for (int count = 0; count < 6; ++count) digest_contents_.push_back(content_by_digest());
    if (random_.chance(30)) digest_contents_.emplace_back();  // every empty file is a target
    for (const std::string& content : digest_contents_) made_.digest_text.insert(content);
    const std::uint64_t roll = random_.below(1000);
    if (roll < 3) {
      same_name();
    } else if (roll < 13) {
      wide();
    } else if (roll < 53) {
      deep();
    } else if (roll < 93) {
      many_drops();
    } else {
      ordinary(roll < 113);
    }
    settings();
    hard_links();
    strange_entries();
    for (const std::string& file : files_) dress_file(file);
    protect_files();
    // From the deepest up, so that nothing changes a folder's time afterwards.
    for (auto folder = folders_.rbegin(); folder != folders_.rend(); ++folder)
      dress_folder(*folder);
    return std::move(made_);
  }

 private:
  void count(const char* kind) { ++made_.kinds[kind]; }

  std::string content_by_digest() {
    if (random_.chance(20)) return std::string(random_.between(1, 3) * block, '\0');  // all zero
    return "known " + random_.bytes(random_.between(1, 3000));
  }

  std::string content() {
    const std::uint64_t roll = random_.below(100);
    if (roll < 30) return random_.pick(digest_contents_);
    if (roll < 55) return std::string(marker) + random_.bytes(random_.below(200));
    if (roll < 62) return "";
    return "clean " + random_.bytes(random_.below(3000));
  }

  std::string name() {
    static const std::vector<std::string> odd = {"-rf",
                                                 "-",
                                                 "--",
                                                 " ",
                                                 "  x ",
                                                 "*",
                                                 "?",
                                                 "[a-z]",
                                                 "{a,b}",
                                                 "a\nb",
                                                 "\n",
                                                 "\t",
                                                 "\r",
                                                 "\x1b[31mred\x1b[0m",
                                                 "\x1b]0;title\x07",
                                                 "\xe2\x80\xaetxt.exe",
                                                 "\xff\xfe",
                                                 "\xc0\xaf",
                                                 "\xed\xa0\x80",
                                                 "...",
                                                 ".hidden",
                                                 "~",
                                                 "$(id)",
                                                 "`id`",
                                                 "a'b\"c",
                                                 "\\",
                                                 "C:\\x",
                                                 "%s%n",
                                                 "%2e%2e",
                                                 "CON",
                                                 "op-0001",
                                                 "op-0002.restore",
                                                 ".writing-0",
                                                 ".starting-run-0",
                                                 ".#lock",
                                                 "x.tmp",
                                                 "manifest.json",
                                                 "hold",
                                                 "journal",
                                                 "store.lock",
                                                 "\xcc\x81",
                                                 "A",
                                                 "a",
                                                 "x.php",
                                                 "web.config",
                                                 "shell.php ",
                                                 "shell.php.",
                                                 "caf\xc3\xa9",
                                                 "cafe\xcc\x81"};
    const std::uint64_t roll = random_.below(100);
    std::string made;
    if (roll < 35) {
      made = "f" + std::to_string(random_.below(1000)) + ".php";
    } else if (roll < 65) {
      made = random_.pick(odd);
      count("odd name");
    } else {
      made = random_.bytes(roll < 90 ? random_.between(1, 40) : 255);
      for (char& c : made)
        if (c == '\0' || c == '/') c = 'n';
      if (made == "." || made == "..") made = "dots";
      count(made.size() == 255 ? "name of 255 bytes" : "name of any bytes");
    }
    return made;
  }

  std::string fresh(const std::string& folder) {
    std::string path;
    do {
      path = (folder.empty() ? "" : folder + "/") + name();
    } while (!taken_.insert(path).second);
    return path;
  }

  std::string make_folder(const std::string& path) {
    taken_.insert(path);
    const Place place(root_, path);
    check(::mkdirat(place.folder(), place.name(), 0755), path);
    folders_.push_back(path);
    return path;
  }

  void make_file(const std::string& path, const std::string& bytes) {
    const Place place(root_, path);
    const File file(place, O_WRONLY | O_CREAT | O_EXCL);
    write_at(file, 0, bytes);
    files_.push_back(path);
  }

  static void write_at(const File& file, std::uint64_t offset, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t wrote =
          ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (wrote <= 0) check(-1, "write");
      offset += static_cast<std::uint64_t>(wrote);
      bytes.remove_prefix(static_cast<std::size_t>(wrote));
    }
  }

  /// Data, written zeros and holes in any order; the marker somewhere for targets.
  void make_sparse(const std::string& path) {
    const Place place(root_, path);
    const File file(place, O_WRONLY | O_CREAT | O_EXCL);
    const std::uint64_t blocks = random_.between(1, 60);
    const bool target = random_.chance(50);
    bool marked = false;
    for (std::uint64_t at = 0; at < blocks; at += random_.between(1, 8)) {
      const std::uint64_t kind = random_.below(4);
      if (kind == 0) continue;
      std::string data = kind == 1 ? std::string(block, '\0')
                                   : "data " + random_.bytes(random_.between(1, block - 5));
      if (target && !marked && kind > 1) {
        data = marker;
        marked = true;
      }
      write_at(file, at * block, data);
    }
    const std::uint64_t end = blocks * block + random_.below(3) * random_.below(block);
    struct stat facts{};
    check(::fstat(file.get(), &facts), path);
    if (static_cast<std::uint64_t>(facts.st_size) < end)
      check(::ftruncate(file.get(), static_cast<off_t>(end)), path);
    files_.push_back(path);
    count("sparse file");
  }

  void fill(const std::string& folder, std::uint64_t number) {
    for (std::uint64_t made = 0; made < number; ++made) {
      if (random_.chance(12))
        make_sparse(fresh(folder));
      else
        make_file(fresh(folder), content());
    }
  }

  void ordinary(bool large) {
    made_.shape = large ? "large" : "ordinary";
    make_folder("t");
    for (std::uint64_t more = random_.below(6); more > 0; --more)
      make_folder(fresh(random_.pick(folders_)));
    for (std::uint64_t more = random_.between(2, 20); more > 0; --more)
      fill(random_.pick(folders_), 1);
    if (!large) return;
    for (std::uint64_t more = random_.between(1, 3); more > 0; --more) {
      std::string bytes = random_.chance(60) ? marker : "clean";
      const std::string piece = random_.bytes(1u << 16);
      const std::size_t size = random_.between(1u << 20, 6u << 20);
      while (bytes.size() < size) bytes += piece;
      make_file(fresh("t"), bytes);
      count("file of several MiB");
    }
  }

  void deep() {
    made_.shape = "deep";
    std::string path = make_folder("t");
    const std::uint64_t depth = random_.between(60, 90);
    for (std::uint64_t level = 0; level < depth; ++level) {
      std::string component = random_.bytes(random_.between(60, 255));
      for (char& c : component)
        if (c == '\0' || c == '/') c = 'd';
      path = make_folder(path + "/" + component);
      if (random_.chance(10)) fill(path, 1);
    }
    if (path.size() <= 4096) throw std::runtime_error("the deep tree is not deep");
    make_file(fresh(path), std::string(marker) + " at the bottom");
    fill(path, 3);
    count("path longer than PATH_MAX");
  }

  void wide() {
    made_.shape = "wide";
    make_folder("t");
    std::size_t bytes = 0;
    for (int number = 0; bytes < (66u << 10); ++number) {
      std::string last = std::to_string(number) + "-";
      last += std::string(250 - last.size(), 'w');
      bytes += last.size();
      make_file("t/" + last, number % 3 != 0 ? std::string(marker) : "clean");
    }
    fill("t", 5);
    count("folder above 64 KiB");
  }

  void same_name() {
    made_.shape = "same name";
    make_folder("t");
    for (int number = 0; number < 1001; ++number) {
      const std::string folder = make_folder("t/" + std::to_string(number));
      make_file(folder + "/index.php", std::string(marker) + std::to_string(number % 7));
    }
    count("1,001 files of one name");
  }

  void many_drops() {
    made_.shape = "many drops";
    make_folder("t");
    const std::string drop = std::string(marker) + random_.bytes(50);
    for (std::uint64_t more = random_.between(5, 15); more > 0; --more)
      make_folder(fresh(random_.pick(folders_)));
    for (std::uint64_t more = random_.between(20, 60); more > 0; --more)
      make_file(fresh(random_.pick(folders_)), drop);
    fill("t", 3);
    count("content dropped many times");
  }

  void settings() {
    if (!random_.chance(25)) return;
    make_folder("t/conf");
    made_.setting = "t/conf/applicationHost.config";
    made_.resets = random_.between(1, 4);
    std::string text =
        "<?xml version=\"1.0\"?>\r\n<configuration>\r\n  <system.applicationHost><sites>"
        "<site name=\"a\" id=\"1\"><application path=\"/\">\r\n"
        "    <virtualDirectory path=\"/\" physicalPath=\"C:\\w\" />\r\n";
    for (std::size_t number = 0; number < made_.resets; ++number) {
      text += "    <virtualDirectory path=\"/stays-" + std::to_string(number) +
              "\" physicalPath=\"C:\\w\" />\r\n";
      text += "    <virtualDirectory path=\"/gone-" + std::to_string(number) +
              "\" physicalPath=\"C:\\ProgramData\\COM1\" />\r\n";
    }
    text += "  </application></site></sites></system.applicationHost>\r\n</configuration>\r\n";
    make_file(made_.setting, text);
    count("configuration file");
  }

  void hard_links() {
    if (files_.empty() || made_.shape == "same name") return;
    const std::size_t originals = files_.size();
    const bool wanted = random_.chance(45) || made_.shape == "wide";
    for (std::uint64_t more = wanted ? random_.between(1, 5) : 0; more > 0; --more) {
      const std::string existing = files_[random_.below(originals)];
      if (existing == made_.setting) continue;
      const std::string path = fresh(random_.pick(folders_));
      const Place from(root_, existing);
      const Place to(root_, path);
      check(::linkat(from.folder(), from.name(), to.folder(), to.name(), 0), path);
      if (random_.chance(10)) protect_.insert(existing);
      count("hard link");
    }
  }

  /// What is no regular file, and what has a name of the tool's own.
  void strange_entries() {
    if (random_.chance(30)) {
      const Place link(root_, fresh(random_.pick(folders_)));
      const char* const target = random_.chance(50) ? "/etc/passwd" : "nowhere/at/all";
      check(::symlinkat(target, link.folder(), link.name()), "symlink");
      count("symbolic link");
    }
    if (random_.chance(15)) {
      const Place fifo(root_, fresh(random_.pick(folders_)));
      check(::mknodat(fifo.folder(), fifo.name(), S_IFIFO | 0644, 0), "fifo");
      count("fifo");
    }
    if (random_.chance(10)) {
      const Place device(root_, fresh(random_.pick(folders_)));
      if (::mknodat(device.folder(), device.name(), S_IFCHR | 0600, makedev(1, 3)) == 0)
        count("device");
    }
    if (random_.chance(10)) {
      const std::string folder = make_folder("t/.remediate-hold-0123456789abcdef");
      make_file(folder + "/op-0001", random_.pick(digest_contents_));
      make_file("t/.remediate-hold-x", std::string(marker));
      count("name of a hold");
    }
  }

  uid_t somebody() {
    static const std::vector<uid_t> ids = {0, 0, 0, 33, 1000, 65533, 100000, 4294967294u};
    return random_.pick(ids);
  }

  mode_t mode() {
    static const std::vector<mode_t> common = {0644, 0644, 0600, 0755, 0640, 0444, 0};
    if (random_.chance(70)) return random_.pick(common);
    const auto any = static_cast<mode_t>(random_.below(010000));
    count("mode of any 9 bits and the sticky bit");
    if (random_.chance(80)) return any & 01777u;
    count("set-id bits");
    return any;
  }

  void attribute(const File& file, const char* name, const std::string& value, const char* kind) {
    if (::fsetxattr(file.get(), name, value.data(), value.size(), 0) == 0)
      count(kind);
    else if (errno != ENOSPC && errno != EOPNOTSUPP && errno != E2BIG && errno != EDQUOT &&
             errno != ERANGE)
      check(-1, name);
  }

  void attributes(const File& file) {
    if (random_.chance(15))
      attribute(file, "user.note", random_.bytes(random_.below(60)), "user attribute");
    if (random_.chance(5))
      attribute(file, "user.large", random_.bytes(random_.between(1000, 60000)), "large attribute");
    if (random_.chance(4))
      attribute(file, "user.block", random_.bytes(random_.between(300, 3500)), "large attribute");
    if (random_.chance(5)) attribute(file, "user.\xff\n", "odd", "user attribute");
    if (random_.chance(8))
      attribute(file, "trusted.mark", random_.bytes(random_.below(40)), "trusted attribute");
    if (random_.chance(6))
      attribute(file, "security.note", random_.bytes(random_.below(40)), "security attribute");
    if (random_.chance(12))
      attribute(file, "system.posix_acl_access", access_list(random_), "access list");
  }

  std::pair<std::int64_t, long> time() {
    const auto seconds =
        random_.chance(80)
            ? static_cast<std::int64_t>(random_.between(1'000'000'000, 1'700'000'000))
            : static_cast<std::int64_t>(random_.below(6'000'000'000)) - 2'000'000'000;
    return {seconds, random_.chance(70) ? static_cast<long>(random_.below(1'000'000'000)) : 0};
  }

  void set_times(int descriptor, const std::string& path) {
    const auto accessed = time();
    const auto modified = time();
    const std::array<timespec, 2> times = {timespec{accessed.first, accessed.second},
                                           timespec{modified.first, modified.second}};
    check(::futimens(descriptor, times.data()), path);
  }

  void dress_file(const std::string& path) {
    const Place place(root_, path);
    const File file(place, O_RDONLY);
    const uid_t owner = somebody();
    if (owner != 0) check(::fchown(file.get(), owner, somebody()), path);
    check(::fchmod(file.get(), path == made_.setting ? 0640 : mode()), path);
    attributes(file);
    if (random_.chance(2)) {
      // Version 2, effective, cap_net_bind_service.
      std::string capability;
      for (const unsigned word : {0x02000001u, 1u << 10, 0u, 0u, 0u}) append_32(capability, word);
      attribute(file, "security.capability", capability, "file capability");
    }
    set_times(file.get(), path);
  }

  void protect_files() {
    for (const std::string& path : files_) {
      if (!random_.chance(4) && !protect_.contains(path)) continue;
      const File file(Place(root_, path), O_RDONLY);
      int flags = 0;
      if (::ioctl(file.get(), FS_IOC_GETFLAGS, &flags) != 0) return;
      const std::uint64_t kind = random_.between(1, 3);
      if ((kind & 1u) != 0) flags |= FS_IMMUTABLE_FL;
      if ((kind & 2u) != 0) flags |= FS_APPEND_FL;
      if (::ioctl(file.get(), FS_IOC_SETFLAGS, &flags) == 0) count("immutable or append-only flag");
    }
  }

  void dress_folder(const std::string& path) {
    const File folder(Place(root_, path), O_RDONLY | O_DIRECTORY);
    if (random_.chance(30)) check(::fchown(folder.get(), somebody(), somebody()), path);
    if (random_.chance(30))
      check(::fchmod(folder.get(), static_cast<mode_t>(random_.below(010000))), path);
    if (random_.chance(10)) {
      attribute(folder, "system.posix_acl_default", access_list(random_), "default access list");
      attribute(folder, "system.posix_acl_access", access_list(random_), "access list");
    }
    if (random_.chance(10)) attribute(folder, "user.note", "folder", "user attribute");
    set_times(folder.get(), path);
  }

  Folder root_;
  Random& random_;
  MadeTree made_;
  std::vector<std::string> digest_contents_;
  std::vector<std::string> folders_;
  std::vector<std::string> files_;
  std::set<std::string> taken_;
  std::set<std::string> protect_;  // get a flag for certain
};

}  // namespace

std::string access_list(Random& random) {
  constexpr unsigned owner = 1, user = 2, owning_group = 4, group = 8, mask = 16, other = 32;
  constexpr unsigned nobody = 0xffffffffu;
  std::string text;
  append_32(text, 2);  // version
  const auto entry = [&](unsigned tag, unsigned id) {
    append_16(text, tag);
    append_16(text, static_cast<unsigned>(random.below(8)));
    append_32(text, id);
  };
  entry(owner, nobody);
  for (unsigned more = static_cast<unsigned>(random.below(4)), id = 1000; more > 0; --more)
    entry(user, id++);
  entry(owning_group, nobody);
  entry(group, static_cast<unsigned>(random.between(33, 5000)));
  entry(mask, nobody);
  entry(other, nobody);
  return text;
}

MadeTree make_tree(const std::string& root, Random& random) { return Maker(root, random).run(); }

}  // namespace property
