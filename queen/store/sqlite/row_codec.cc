#include "queen/store/sqlite/row_codec.h"

#include <sqlite3.h>

#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace waggle::queen::sqlite {
namespace {

using nlohmann::json;
using StringMap = std::map<std::string, std::string>;
using StringList = std::vector<std::string>;
using JobList = std::vector<JobId>;

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

bool Known(JobType type) {
  return !Name(type).empty() && Name(type) != "?";
}
bool Known(JobState state) {
  return !Name(state).empty() && Name(state) != "?";
}
bool Known(PeerKind kind) {
  return kind == PeerKind::kDrone || kind == PeerKind::kUser;
}
bool Known(RunsAfter when) {
  return !Name(when).empty() && Name(when) != "?";
}
bool Known(Reason reason) {
  return Name(reason) != "?";
}

class ColumnNames {
 public:
  template <typename T>
  void operator()(const char* name, const T&) {
    names.push_back(name);
  }
  std::vector<std::string> names;
};

template <typename Table>
std::vector<std::string> NamesOf() {
  ColumnNames visitor;
  typename Table::Row row;
  Table::Fields(visitor, row);
  return std::move(visitor.names);
}

template <typename Table>
bool Updated(const std::string& name) {
  if constexpr (requires { Table::kKept; }) {
    if (name == Table::kKept) return false;
  }
  return name != Table::kKey;
}

template <typename Table>
std::string UpsertSql() {
  std::string values, updates;
  for (const std::string& name : NamesOf<Table>()) {
    absl::StrAppend(&values, values.empty() ? "?" : ",?");
    if (Updated<Table>(name)) absl::StrAppend(&updates, updates.empty() ? "" : ",", name, "=excluded.", name);
  }
  return absl::StrCat("INSERT INTO ", Table::kName, "(", Columns<Table>(), ") VALUES(", values,
                      ") ON CONFLICT(", Table::kKey, ") DO UPDATE SET ", updates);
}

class Binder {
 public:
  Binder(Statement& statement, const char* table) : statement_(statement), table_(table) {}

  template <typename Tag>
  void operator()(const char* name, Id<Tag> value) {
    (*this)(name, value.value());
  }
  void operator()(const char* name, std::uint64_t value) {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      statement_.Refuse(
          absl::InvalidArgumentError(absl::StrCat("write table ", table_, ": ", name, " ", value,
                                                  " is above 2^63-1, the largest that can be stored")));
      value = 0;
    }
    statement_.BindInt(static_cast<std::int64_t>(value));
  }
  void operator()(const char*, std::int64_t value) { statement_.BindInt(value); }
  void operator()(const char*, std::int32_t value) { statement_.BindInt(value); }
  void operator()(const char*, std::uint32_t value) { statement_.BindInt(value); }
  void operator()(const char*, bool value) { statement_.BindInt(value ? 1 : 0); }
  // SQLite has no NaN: it would become NULL and fail the whole batch for what one drone said.
  void operator()(const char*, double value) { statement_.BindReal(std::isnan(value) ? 0 : value); }
  void operator()(const char*, const std::string& value) { statement_.BindText(value); }
  void operator()(const char*, const StringMap& value) {
    statement_.BindText(value.empty() ? "{}" : Dump(value));
  }
  void operator()(const char*, const StringList& value) {
    statement_.BindText(value.empty() ? "[]" : Dump(value));
  }
  void operator()(const char*, const JobList& value) {
    json ids = json::array();
    for (JobId id : value) ids.push_back(id.value());
    statement_.BindText(Dump(ids));
  }
  template <typename Enum>
  requires std::is_enum_v<Enum>
  void operator()(const char*, Enum value) { statement_.BindInt(static_cast<std::int64_t>(value)); }

 private:
  Statement& statement_;
  const char* table_;
};

class Reader {
 public:
  explicit Reader(sqlite3_stmt* stmt) : stmt_(stmt) {}
  absl::Status status() const { return problem_.empty() ? absl::OkStatus() : absl::DataLossError(problem_); }

  template <typename Tag>
  void operator()(const char* name, Id<Tag>& out) {
    std::uint64_t value = 0;
    // The first column is the key, and a key of 0 means "none": no row may have it.
    bool is_key = column_ == 0;
    (*this)(name, value);
    if (is_key && value == 0) Fail(name, "is 0, which names nothing");
    out = Id<Tag>(value);
  }
  void operator()(const char* name, std::uint64_t& out) { Integer(name, out); }
  void operator()(const char* name, std::int64_t& out) { Integer(name, out); }
  void operator()(const char* name, std::int32_t& out) { Integer(name, out); }
  void operator()(const char* name, std::uint32_t& out) { Integer(name, out); }
  void operator()(const char* name, bool& out) {
    std::uint8_t value = 0;
    Integer(name, value);
    if (value > 1) Fail(name, absl::StrCat("is ", value, ", not 0 or 1"));
    out = value == 1;
  }
  void operator()(const char* name, double& out) {
    int column = column_++;
    int type = sqlite3_column_type(stmt_, column);
    if (type != SQLITE_FLOAT && type != SQLITE_INTEGER) return Fail(name, "is not a number");
    out = sqlite3_column_double(stmt_, column);
  }
  void operator()(const char* name, std::string& out) { out = std::string(Text(name)); }
  void operator()(const char* name, StringMap& out) {
    json value = Json(name);
    if (!value.is_object()) return Fail(name, "is not a JSON object");
    for (const auto& [key, item] : value.items()) {
      if (!item.is_string())
        return Fail(name, absl::StrCat("has a value that is not a string at \"", key, "\""));
      out[key] = item.get<std::string>();
    }
  }
  void operator()(const char* name, StringList& out) {
    json value = Json(name);
    if (!value.is_array()) return Fail(name, "is not a JSON array");
    for (const json& item : value) {
      if (!item.is_string()) return Fail(name, "has an element that is not a string");
      out.push_back(item.get<std::string>());
    }
  }
  void operator()(const char* name, JobList& out) {
    json value = Json(name);
    if (!value.is_array()) return Fail(name, "is not a JSON array");
    for (const json& item : value) {
      if (!item.is_number_unsigned()) return Fail(name, "has an element that is no number of a job");
      out.push_back(JobId(item.get<std::uint64_t>()));
    }
  }
  template <typename Enum>
  requires std::is_enum_v<Enum>
  void operator()(const char* name, Enum& out) {
    std::underlying_type_t<Enum> value = 0;
    Integer(name, value);
    if (!Known(static_cast<Enum>(value))) return Fail(name, absl::StrCat("has the unknown value ", value));
    out = static_cast<Enum>(value);
  }

 private:
  template <typename T>
  void Integer(const char* name, T& out) {
    int column = column_++;
    if (sqlite3_column_type(stmt_, column) != SQLITE_INTEGER) return Fail(name, "is not an integer");
    std::int64_t value = sqlite3_column_int64(stmt_, column);
    if (!std::in_range<T>(value)) return Fail(name, absl::StrCat("is out of range: ", value));
    out = static_cast<T>(value);
  }
  std::string_view Text(const char* name) {
    int column = column_++;
    if (sqlite3_column_type(stmt_, column) != SQLITE_TEXT) {
      Fail(name, "is not text");
      return {};
    }
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(stmt_, column));
    return data == nullptr
               ? std::string_view()
               : std::string_view(data, static_cast<std::size_t>(sqlite3_column_bytes(stmt_, column)));
  }
  json Json(const char* name) {
    std::string_view text = Text(name);
    return json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  }
  void Fail(const char* name, std::string_view why) {
    if (problem_.empty())
      problem_ = absl::StrCat("column ", name, " ", absl::string_view(why.data(), why.size()));
  }

  sqlite3_stmt* stmt_;
  int column_ = 0;
  std::string problem_;
};

json RawValue(sqlite3_stmt* stmt, int column) {
  switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
      return sqlite3_column_int64(stmt, column);
    case SQLITE_FLOAT:
      return sqlite3_column_double(stmt, column);
    case SQLITE_NULL:
      return nullptr;
    default:
      break;
  }
  const auto* data = static_cast<const char*>(sqlite3_column_blob(stmt, column));
  std::string bytes(data == nullptr ? "" : data,
                    static_cast<std::size_t>(sqlite3_column_bytes(stmt, column)));
  if (sqlite3_column_type(stmt, column) == SQLITE_TEXT) return bytes;
  return json{{"hex", absl::BytesToHexString(bytes)}};
}

}  // namespace

template <typename Table>
const std::string& Columns() {
  static const std::string columns = [] {
    std::string all;
    for (const std::string& name : NamesOf<Table>()) absl::StrAppend(&all, all.empty() ? "" : ",", name);
    return all;
  }();
  return columns;
}

template <typename Table>
absl::Status WriteRow(Connection& connection, const typename Table::Row& row) {
  static const std::string sql = UpsertSql<Table>();
  static const std::string operation = absl::StrCat("write table ", Table::kName);
  auto statement = connection.Prepare(sql, operation);
  if (!statement.ok()) return statement.status();
  Binder binder(*statement, Table::kName);
  Table::Fields(binder, row);
  return statement->Run();
}

template <typename Table>
absl::Status ReadRow(const Statement& statement, typename Table::Row* row) {
  Reader reader(statement.handle());
  Table::Fields(reader, *row);
  return reader.status();
}

std::string RawRow(const Statement& statement) {
  json row = json::object();
  for (int i = 0; i < sqlite3_column_count(statement.handle()); ++i) {
    row[sqlite3_column_name(statement.handle(), i)] = RawValue(statement.handle(), i);
  }
  return Dump(row);
}

#define WAGGLE_INSTANTIATE(Table)                                                 \
  template const std::string& Columns<Table>();                                   \
  template absl::Status WriteRow<Table>(Connection&, const typename Table::Row&); \
  template absl::Status ReadRow<Table>(const Statement&, typename Table::Row*)
WAGGLE_INSTANTIATE(JobTable);
WAGGLE_INSTANTIATE(AttemptTable);
WAGGLE_INSTANTIATE(DroneTable);
WAGGLE_INSTANTIATE(RunTable);
WAGGLE_INSTANTIATE(PeerTable);
WAGGLE_INSTANTIATE(InvitationTable);
WAGGLE_INSTANTIATE(RestoreTable);
WAGGLE_INSTANTIATE(CountersTable);
#undef WAGGLE_INSTANTIATE

}  // namespace waggle::queen::sqlite
