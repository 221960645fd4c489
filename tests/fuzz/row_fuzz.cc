// Rows of the queen's database as anything may have left them: any type and value in any column. Each is read
// or refused with words that can be shown; what was read can be stored and then reads the same, for ever.
#include <stdlib.h>

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/text.h"
#include "queen/store/sqlite/migrations.h"
#include "queen/store/sqlite/row_codec.h"
#include "tests/fuzz/fuzz.h"

namespace waggle::fuzz {
namespace {

using queen::sqlite::Connection;
using queen::sqlite::Statement;

// One in each process, with all tables and nothing in them between two inputs.
Connection& Database() {
  static Connection& database = []() -> Connection& {
    const char* folder = ::getenv("TMPDIR");
    std::string path = absl::StrCat(folder == nullptr ? "/tmp" : folder, "/rows.XXXXXX");
    Require(::mkdtemp(path.data()) != nullptr, "there is a place for a database");
    auto opened = Connection::Open(path + "/rows.db", Connection::Mode::kWriter);
    Require(opened.ok(), "an empty database opens");
    Require(queen::sqlite::Migrate(**opened, queen::sqlite::Migrations()).ok(), "and gets its tables");
    return *opened->release();
  }();
  return database;
}

void Bind(Statement& statement, Input& in) {
  switch (in.Pick(6)) {
    case 0:
      return statement.BindInt(static_cast<std::int64_t>(Number(in, in.U8())));
    case 1:
      return statement.BindInt(in.U8() % 16);
    case 2:
      return statement.BindReal(std::bit_cast<double>(in.U64()));
    case 3:
      return statement.BindBlob(in.Text());
    default:
      return statement.BindText(in.Text());
  }
}

// The only row of the table, as it is stored and as it is read.
template <typename Table>
std::string Reread(Connection& database, typename Table::Row* row) {
  auto stored = database.Prepare(
      absl::StrCat("SELECT ", queen::sqlite::Columns<Table>(), " FROM ", Table::kName), "read again");
  Require(stored.ok(), "a table can be asked");
  auto there = stored->Step();
  Require(there.ok() && *there, "what was stored is there");
  Require(queen::sqlite::ReadRow<Table>(*stored, row).ok(), "what was stored can be read");
  return queen::sqlite::RawRow(*stored);
}

template <typename Table>
void Check(Input& in) {
  Connection& database = Database();
  const std::string& columns = queen::sqlite::Columns<Table>();
  typename Table::Row row;
  {
    std::string marks = "?";
    for (auto n = std::count(columns.begin(), columns.end(), ','); n > 0; --n) marks += ",?";
    auto any = database.Prepare(absl::StrCat("SELECT ", marks), "make a row");
    Require(any.ok(), "a row can be made");
    for (std::size_t n = 0; n <= marks.size() / 2; ++n) Bind(*any, in);
    auto made = any->Step();
    Require(made.ok() && *made, "a row can be made");
    Require(nlohmann::json::accept(queen::sqlite::RawRow(*any)), "every row can be set aside as JSON");
    const absl::Status read = queen::sqlite::ReadRow<Table>(*any, &row);
    if (!read.ok()) {
      const std::string_view why(read.message().data(), read.message().size());
      Require(!why.empty() && !FindBadByte(why, true), "why a row is bad can be shown");
      return;
    }
  }
  Require(database.Begin("fuzz").ok(), "a transaction begins");
  const absl::Status stored = queen::sqlite::WriteRow<Table>(database, row);
  if (stored.ok()) {
    typename Table::Row again;
    const std::string first = Reread<Table>(database, &again);
    Require(queen::sqlite::WriteRow<Table>(database, again).ok(), "what was stored can be stored again");
    Require(Reread<Table>(database, &again) == first, "and is the same");
  } else {
    Require(absl::IsInvalidArgument(stored), "only a number that is too large cannot be stored");
  }
  database.Rollback();
}

}  // namespace

void Run(std::string_view input) {
  Input in(input);
  switch (in.Pick(6)) {
    case 0:
      return Check<queen::sqlite::JobTable>(in);
    case 1:
      return Check<queen::sqlite::AttemptTable>(in);
    case 2:
      return Check<queen::sqlite::DroneTable>(in);
    case 3:
      return Check<queen::sqlite::RunTable>(in);
    case 4:
      return Check<queen::sqlite::PeerTable>(in);
    default:
      return Check<queen::sqlite::InvitationTable>(in);
  }
}

// One of each table whose numbers are small and whose texts are JSON.
std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (std::uint8_t table = 0; table < 6; ++table) {
    for (const char* text : {"{}", "[]", R"({"a":"b"})", "name"}) {
      std::string seed;
      ByteWriter w(&seed);
      w.U8(table);
      for (std::uint8_t column = 0; column < 60; ++column) {
        if (column % 2 == 0) {
          w.U8(1);
          w.U8(1);
        } else {
          w.U8(4);
          PutText(w, text);
        }
      }
      seeds.push_back(std::move(seed));
    }
  }
  return seeds;
}

}  // namespace waggle::fuzz
