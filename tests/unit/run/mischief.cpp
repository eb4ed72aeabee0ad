#include "mischief.h"

namespace remediate::run::test {
namespace {

using Names = std::vector<std::pair<std::string, FileKind>>;
Names names_in(const host::Directory& folder) {
  Names names;
  must(folder.each_entry([&](std::string_view name, FileKind kind) {
    names.emplace_back(name, kind);
    return true;
  }));
  return names;
}

void add(host::Directory& folder, const std::string& name, const std::string& bytes) {
  if (const auto file = folder.create_file(name, 0640)) must((*file)->write_at(0, bytes));
}

std::optional<std::uint32_t> unprotect(const host::Directory& folder, const std::string& name) {
  const auto file = folder.open_file(name, host::Access::read);
  if (!file) return std::nullopt;
  const std::uint32_t flags =
      must((*file)->metadata()).inode_flags & (host::flag_immutable | host::flag_append_only);
  if (flags != 0) must((*file)->set_protection_flags(0));
  return flags;
}

void move_aside(host::Host& host, const host::Directory& folder, const std::string& name) {
  const auto aside = must(host.make_root("/base/aside"));
  (void)unprotect(folder, name);
  std::size_t number = names_in(*aside).size();
  (void)folder.rename(name, *aside, "moved-" + std::to_string(number));
}

void append(const host::Directory& folder, const std::string& name, const std::string& text) {
  const auto flags = unprotect(folder, name);
  const auto file = folder.open_file(name, host::Access::read_write);
  if (!file) return;
  must((*file)->write_at(must((*file)->stat()).size, text));
  if (flags.value_or(0) != 0) must((*file)->set_protection_flags(*flags));
}

/// All holds of the run that are there.
std::vector<std::unique_ptr<host::Directory>> holds(World& world, const std::string& run) {
  std::vector<std::unique_ptr<host::Directory>> all;
  for (const std::string& path :
       {world.store_path() + "/hold/" + run, world.target() + "/www/data"})
    if (auto opened = world.host().open_root(path)) {
      all.push_back(std::move(*opened));
      if (path.ends_with(run)) continue;
      const auto top = std::move(all.back());
      all.pop_back();
      for (const auto& [name, kind] : names_in(*top))
        if (name.starts_with(".remediate-hold-"))
          all.push_back(must(top->open_directory(must(RawPath::parse(name)), host::Mounts::stay)));
    }
  return all;
}

void each_held(RichWorld& rich, const std::string& id,
               const std::function<void(host::Directory&, const std::string&)>& act) {
  for (const auto& hold : holds(*rich.world, rich.run))
    for (const auto& [name, kind] : names_in(*hold))
      if (name.starts_with(id) && kind == FileKind::regular) act(*hold, name);
}

}  // namespace

Place place_of(const World& world, const std::string& path) {
  const std::string whole = world.target() + "/" + path;
  const std::size_t slash = whole.rfind('/');
  return {whole.substr(0, slash), whole.substr(slash + 1)};
}

const std::vector<Mischief>& mischiefs() {
  static const auto folder_of = [](RichWorld& rich, const Place& place) {
    return must(rich.host.make_root(place.folder));
  };
  static const std::vector<Mischief> all = {
      {"replaces it",
       [](RichWorld& rich, const Place& place, const std::string&) {
         const auto folder = folder_of(rich, place);
         move_aside(rich.host, *folder, place.name);
         add(*folder, place.name, rich.marker);
       }},
      {"removes it",
       [](RichWorld& rich, const Place& place, const std::string&) {
         move_aside(rich.host, *folder_of(rich, place), place.name);
       }},
      {"writes to it",
       [](RichWorld& rich, const Place& place, const std::string&) {
         append(*folder_of(rich, place), place.name, rich.marker);
       }},
      {"puts a folder there",
       [](RichWorld& rich, const Place& place, const std::string&) {
         const auto folder = folder_of(rich, place);
         move_aside(rich.host, *folder, place.name);
         (void)folder->make_directory(place.name, 0755);
       }},
      {"links it",
       [](RichWorld& rich, const Place& place, const std::string&) {
         const auto folder = folder_of(rich, place);
         const auto flags = unprotect(*folder, place.name);
         if (const auto file = folder->open_file(place.name, host::Access::read)) {
           const auto aside = must(rich.host.make_root("/base/aside"));
           (void)aside->link_file(**file, "linked");
           if (flags.value_or(0) != 0) must((*file)->set_protection_flags(*flags));
         }
       }},
      {"changes its mode",
       [](RichWorld& rich, const Place& place, const std::string&) {
         const auto folder = folder_of(rich, place);
         const auto flags = unprotect(*folder, place.name);
         if (const auto file = folder->open_file(place.name, host::Access::read_write)) {
           Metadata metadata = must((*file)->metadata());
           metadata.stat.mode = 0606;
           must((*file)->restore_metadata(metadata, host::Privileges::keep));
           if (flags.value_or(0) != 0) must((*file)->set_protection_flags(*flags));
         }
       }},
      {"exchanges its folder",
       [](RichWorld& rich, const Place& place, const std::string&) {
         const std::size_t slash = place.folder.rfind('/');
         const auto above = must(rich.host.make_root(place.folder.substr(0, slash)));
         const std::string name = place.folder.substr(slash + 1);
         const auto aside = must(rich.host.make_root("/base/aside"));
         if (above->rename(name, *aside, "folder")) must(above->make_directory(name, 0755));
       }},
      {"replaces what is held",
       [](RichWorld& rich, const Place&, const std::string& id) {
         each_held(rich, id, [&](host::Directory& hold, const std::string& name) {
           move_aside(rich.host, hold, name);
           add(hold, name, rich.marker);
         });
       }},
      {"writes to what is held",
       [](RichWorld& rich, const Place&, const std::string& id) {
         each_held(rich, id, [&](host::Directory& hold, const std::string& name) {
           append(hold, name, rich.marker);
         });
       }},
      {"takes what is held",
       [](RichWorld& rich, const Place&, const std::string& id) {
         each_held(rich, id, [&](host::Directory& hold, const std::string& name) {
           move_aside(rich.host, hold, name);
         });
       }},
      {"puts a folder where it is held",
       [](RichWorld& rich, const Place&, const std::string& id) {
         each_held(rich, id, [&](host::Directory& hold, const std::string& name) {
           move_aside(rich.host, hold, name);
           (void)hold.make_directory(name, 0700);
         });
       }},
      {"takes the hold",
       [](RichWorld& rich, const Place&, const std::string&) {
         const auto above = must(rich.host.make_root(rich.world->store_path() + "/hold"));
         const auto aside = must(rich.host.make_root("/base/aside"));
         (void)above->rename(rich.run, *aside, "hold");
       }},
  };
  return all;
}

}  // namespace remediate::run::test
