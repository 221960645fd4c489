#include "tests/sim/disk.h"

#include <errno.h>
#include <fcntl.h>

#include <algorithm>
#include <cstring>

namespace waggle::sim {

thread_local Disk* Disk::current = nullptr;

void Disk::SetFull(const std::string& host, bool full) {
  if (full) {
    full_.insert(host);
  } else {
    full_.erase(host);
  }
}

const Disk::File* Disk::Find(const std::string& path) const {
  auto found = files_.find(path);
  return found == files_.end() ? nullptr : found->second.get();
}

void Disk::Remove(const std::string& prefix) {
  for (auto* files : {&files_, &unlinked_}) {
    auto first = files->lower_bound(prefix), last = first;
    while (last != files->end() && last->first.compare(0, prefix.size(), prefix) == 0) ++last;
    files->erase(first, last);
  }
}

void Disk::Copy(const std::string& from, const std::string& to) {
  for (const std::string& name : List(from)) {
    auto copy = std::make_shared<File>();
    copy->data = copy->durable = files_.at(from + "/" + name)->data;
    copy->same = copy->data.size();
    copy->linked = true;
    files_[to + "/" + name] = std::move(copy);
  }
}

std::string Disk::FlipBit(const std::string& directory, Random& random) {
  std::vector<std::string> names = List(directory);
  std::erase_if(names, [&](const std::string& name) { return Find(directory + "/" + name)->data.empty(); });
  if (names.empty()) return "";
  const std::string path = directory + "/" + names[random.Below(names.size())];
  File& file = *files_.at(path);
  const std::uint64_t at = random.Below(file.data.size());
  const char bit = static_cast<char>(1 << random.Below(8));
  file.data[at] = static_cast<char>(file.data[at] ^ bit);
  if (at < file.same) file.durable[at] = static_cast<char>(file.durable[at] ^ bit);
  return path;
}

void Disk::LosePower(const std::string& host, Random& random) {
  const std::string prefix = host + "/";
  auto of_host = [&](const std::string& path) { return path.compare(0, prefix.size(), prefix) == 0; };
  for (auto it = unlinked_.begin(); it != unlinked_.end();) {
    if (!of_host(it->first)) {
      ++it;
      continue;
    }
    if (random.OneIn(2)) files_.try_emplace(it->first, it->second);
    it = unlinked_.erase(it);
  }
  for (auto it = files_.begin(); it != files_.end();) {
    if (!of_host(it->first)) {
      ++it;
      continue;
    }
    File& file = *it->second;
    if (!file.linked && random.OneIn(2)) {
      it = files_.erase(it);
      continue;
    }
    std::string kept = file.durable;
    if (file.data.size() > file.same || file.durable.size() > file.same) {
      switch (random.Below(4)) {
        case 0:  // nothing of it
          break;
        case 1:  // all of it
          kept = file.data;
          break;
        default: {  // a part, sometimes with a block of zeros behind it
          const std::uint64_t span = file.data.size() - std::min(file.same, file.data.size()) + 1;
          kept = file.data.substr(0, file.same + random.Below(span));
          if (random.OneIn(3)) kept.append(random.Below(600), '\0');
        }
      }
    }
    file.data = file.durable = kept;
    file.same = kept.size();
    file.linked = true;
    ++it;
  }
}

int Disk::Open(const std::string& path, int flags) {
  auto found = files_.find(path);
  if (found == files_.end()) {
    if ((flags & O_CREAT) == 0) return -ENOENT;
    if (full_.count(HostOf(path)) > 0) {
      ++refused_writes_;
      return -ENOSPC;
    }
    found = files_.emplace(path, std::make_shared<File>()).first;
  } else if ((flags & O_EXCL) != 0) {
    return -EEXIST;
  }
  OpenFile opened{found->second, HostOf(path)};
  for (std::size_t fd = 0; fd < open_.size(); ++fd) {
    if (open_[fd].file == nullptr) {
      open_[fd] = std::move(opened);
      return static_cast<int>(fd);
    }
  }
  open_.push_back(std::move(opened));
  return static_cast<int>(open_.size() - 1);
}

int Disk::Duplicate(int fd) {
  OpenFile copy = open_.at(static_cast<std::size_t>(fd));
  open_.push_back(std::move(copy));
  return static_cast<int>(open_.size() - 1);
}

void Disk::Close(int fd) {
  open_.at(static_cast<std::size_t>(fd)).file.reset();
  while (!open_.empty() && open_.back().file == nullptr) open_.pop_back();
}

long Disk::Write(int fd, std::string_view data, std::uint64_t position) {
  OpenFile& open = open_.at(static_cast<std::size_t>(fd));
  if (full_.count(open.host) > 0) {
    ++refused_writes_;
    if (data.size() < 2) return -ENOSPC;
    data = data.substr(0, data.size() / 2);  // short writes first, then no room at all
  }
  File& file = *open.file;
  if (file.data.size() < position + data.size()) file.data.resize(position + data.size());
  std::memcpy(file.data.data() + position, data.data(), data.size());
  file.same = std::min<std::size_t>(file.same, position);
  return static_cast<long>(data.size());
}

long Disk::Read(int fd, char* to, std::size_t size, std::uint64_t position) const {
  const std::string& data = open_.at(static_cast<std::size_t>(fd)).file->data;
  if (position >= data.size()) return 0;
  size = std::min<std::size_t>(size, data.size() - position);
  std::memcpy(to, data.data() + position, size);
  return static_cast<long>(size);
}

int Disk::Sync(int fd) {
  OpenFile& open = open_.at(static_cast<std::size_t>(fd));
  auto failing = failing_syncs_.find(open.host);
  if (failing != failing_syncs_.end() && failing->second > 0) {
    --failing->second;
    return -EIO;
  }
  File& file = *open.file;
  file.durable.resize(file.same);
  file.durable.append(file.data, file.same);
  file.same = file.data.size();
  return 0;
}

int Disk::Truncate(int fd, std::uint64_t size) {
  File& file = *open_.at(static_cast<std::size_t>(fd)).file;
  file.data.resize(size);
  file.same = std::min<std::size_t>(file.same, size);
  return 0;
}

std::uint64_t Disk::Size(int fd) const {
  return open_.at(static_cast<std::size_t>(fd)).file->data.size();
}

int Disk::Unlink(const std::string& path) {
  auto found = files_.find(path);
  if (found == files_.end()) return -ENOENT;
  if (found->second->linked) unlinked_[path] = found->second;
  files_.erase(found);
  return 0;
}

void Disk::SyncDirectory(const std::string& path) {
  const std::string prefix = path + "/";
  for (auto it = files_.lower_bound(prefix); it != files_.end(); ++it) {
    if (it->first.compare(0, prefix.size(), prefix) != 0) break;
    it->second->linked = true;
  }
  for (auto it = unlinked_.lower_bound(prefix); it != unlinked_.end();) {
    if (it->first.compare(0, prefix.size(), prefix) != 0) break;
    it = unlinked_.erase(it);
  }
}

std::vector<std::string> Disk::List(const std::string& path) const {
  const std::string prefix = path + "/";
  std::vector<std::string> names;
  for (auto it = files_.lower_bound(prefix); it != files_.end(); ++it) {
    if (it->first.compare(0, prefix.size(), prefix) != 0) break;
    names.push_back(it->first.substr(prefix.size()));
  }
  return names;
}

}  // namespace waggle::sim
