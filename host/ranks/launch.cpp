#include "ranks/launch.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/suggest.h"

namespace tenon {
namespace {

// One launcher's names for the same four numbers.
struct Names {
  const char* launcher;
  const char* rank;
  const char* count;
  const char* local_rank;
  const char* local_count;
};
constexpr Names kPlain{"the environment", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"};
constexpr Names kSlurm{"Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", ""};
constexpr Names kMpi[] = {{"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                           "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
                          {"MPI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"}};

[[noreturn]] void fail_launch(const std::string& message, const std::string& hint) {
  throw Error({.stage = Stage::kCommandLine, .message = message, .hint = hint});
}

std::int64_t number_of(const std::string& name, const std::string& text) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec == std::errc() && read.ptr == end && number >= 0) return number;
  fail_launch("the environment variable " + name + " is `" + text + "`, which is no whole number",
              "it is set by whatever starts the processes of a run");
}

std::optional<std::int64_t> number(const Variables& variables, const std::string& name) {
  const auto text = variables(name);
  if (!text) return std::nullopt;
  return number_of(name, *text);
}

std::uint16_t port_number(const std::string& name, std::int64_t port) {
  constexpr std::int64_t kLargest = 65535;
  if (port >= 1 && port <= kLargest) return static_cast<std::uint16_t>(port);
  fail_launch(
      "the environment variable " + name + " is " + std::to_string(port) + ", which is no port",
      "ports are 1 to 65535");
}

// Throws for what is missing of `names`, all at once; `set` names one that is there.
void require_all(const Variables& variables, const std::vector<std::string>& names,
                 const std::string& set, const std::string& hint) {
  std::vector<std::string> missing;
  for (const std::string& name : names) {
    if (!variables(name)) missing.push_back(name);
  }
  if (missing.empty()) return;
  fail_launch("the environment says that this is one of several processes (" + set +
                  " is set), and lacks " + join(missing),
              hint);
}

void read_numbers(const Variables& variables, const Names& names, Launch& launch) {
  launch.launcher = names.launcher;
  launch.count = static_cast<int>(number(variables, names.count).value_or(1));
  launch.rank = static_cast<int>(number(variables, names.rank).value_or(0));
  launch.local_rank = static_cast<int>(number(variables, names.local_rank).value_or(0));
  launch.local_count = static_cast<int>(
      number(variables, names.local_count)
          .value_or(launch.local_rank == launch.rank ? launch.count : launch.local_rank + 1));
  if (launch.rank < launch.count && launch.local_rank < launch.local_count) return;
  fail_launch(std::string(names.rank) + " is " + std::to_string(launch.rank) + " and " +
                  names.count + " " + std::to_string(launch.count) +
                  ": ranks are counted from 0, so that each is less than their number",
              "");
}

void read_address(const Variables& variables, Launch& launch) {
  launch.address = *variables("MASTER_ADDR");
  launch.port = port_number("MASTER_PORT", *number(variables, "MASTER_PORT"));
}

std::optional<Launch> read_plain(const Variables& variables) {
  const bool has_rank = variables("RANK").has_value();
  if (!has_rank && !variables("WORLD_SIZE")) return std::nullopt;
  const std::string set = has_rank ? "RANK" : "WORLD_SIZE";
  require_all(variables, {"RANK", "WORLD_SIZE"}, set,
              "start the processes with torchrun, or set both, or neither");
  Launch launch;
  read_numbers(variables, kPlain, launch);
  if (launch.count == 1) return std::nullopt;
  require_all(variables, {"MASTER_ADDR", "MASTER_PORT"}, set,
              "they name the machine of rank 0 and a free port there, where the ranks find each "
              "other; torchrun sets them");
  read_address(variables, launch);
  if (variables("TORCHELASTIC_RUN_ID")) launch.launcher = "torchrun";
  launch.launcher = variables("TENON_LAUNCHER").value_or(launch.launcher);
  launch.has_store = variables("TORCHELASTIC_USE_AGENT_STORE") == "True";
  launch.attempt = variables("TORCHELASTIC_RESTART_COUNT").value_or("0");
  return launch;
}

// "node01" of "node[01-03,07],other".
std::string first_host(const std::string& list) {
  const std::size_t open = list.find_first_of("[,");
  if (open == std::string::npos || list[open] == ',') return list.substr(0, open);
  const std::size_t end = list.find_first_of("-,]", open);
  return list.substr(0, open) + list.substr(open + 1, end - open - 1);
}

// "2" of "2(x3),1": on this node, if all have as many.
std::optional<int> tasks_per_node(const Variables& variables) {
  const auto text = variables("SLURM_STEP_TASKS_PER_NODE");
  const auto node = number(variables, "SLURM_NODEID");
  if (!text || !node) return std::nullopt;
  std::int64_t first = 0;  // node that a part is of
  for (std::size_t at = 0; at < text->size();) {
    const std::size_t end = std::min(text->find(',', at), text->size());
    const std::string part = text->substr(at, end - at);
    const std::size_t times = part.find("(x");
    const std::int64_t tasks = number_of("SLURM_STEP_TASKS_PER_NODE", part.substr(0, times));
    first += times == std::string::npos
                 ? 1
                 : number_of("SLURM_STEP_TASKS_PER_NODE",
                             part.substr(times + 2, part.find(')') - times - 2));
    if (*node < first) return static_cast<int>(tasks);
    at = end + 1;
  }
  return std::nullopt;
}

std::optional<Launch> read_slurm(const Variables& variables) {
  // In a batch script, outside srun, SLURM_PROCID is set too, and it is one process.
  if (number(variables, "SLURM_STEP_NUM_TASKS").value_or(1) < 2) return std::nullopt;
  require_all(variables, {"SLURM_PROCID", "SLURM_LOCALID", "SLURM_STEP_NODELIST", "SLURM_JOB_ID"},
              "SLURM_STEP_NUM_TASKS", "start the processes with srun");
  Launch launch;
  read_numbers(variables, kSlurm, launch);
  if (const auto tasks = tasks_per_node(variables)) launch.local_count = *tasks;
  launch.has_own_cores = variables("SLURM_CPUS_PER_TASK").has_value();
  launch.address = variables("MASTER_ADDR").value_or(first_host(*variables("SLURM_STEP_NODELIST")));
  constexpr std::int64_t kFirstPort = 20000;
  constexpr std::int64_t kPorts = 12000;  // below those that systems hand out themselves
  const std::int64_t job = *number(variables, "SLURM_JOB_ID");
  const std::int64_t step = number(variables, "SLURM_STEP_ID").value_or(0);
  launch.port = port_number(
      "MASTER_PORT",
      number(variables, "MASTER_PORT").value_or(kFirstPort + (job * 7 + step) % kPorts));
  launch.attempt = variables("SLURM_RESTART_COUNT").value_or("0");
  return launch;
}

std::optional<Launch> read_mpi(const Variables& variables, const Names& names) {
  if (number(variables, names.count).value_or(1) < 2) return std::nullopt;
  require_all(variables, {names.rank}, names.count, "start the processes with mpirun");
  Launch launch;
  read_numbers(variables, names, launch);
  launch.has_own_cores = true;  // bound, as far as its mpirun binds
  const bool is_one_machine = launch.local_count == launch.count;
  if (variables("MASTER_ADDR") || variables("MASTER_PORT") || !is_one_machine) {
    require_all(
        variables, {"MASTER_ADDR", "MASTER_PORT"}, names.count,
        "they name the machine of rank 0 and a free port there: mpirun -x "
        "MASTER_ADDR=HOST -x MASTER_PORT=29500 (Open MPI), -genv MASTER_ADDR HOST (others)");
    read_address(variables, launch);
    return launch;
  }
  // The processes of one machine have the launcher as their parent: a port that differs from run
  // to run and is the same for all.
  constexpr int kFirstPort = 20000;
  constexpr int kPorts = 12000;
  launch.address = "127.0.0.1";
  launch.port = static_cast<std::uint16_t>(kFirstPort + ::getppid() % kPorts);
  return launch;
}

}  // namespace

Variables environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
  };
}

std::optional<Launch> read_launch(const Variables& variables) {
  if (auto launch = read_plain(variables)) return launch;
  // Under a plain RANK of 1 nothing else is asked: a run of one process inside a job of many.
  if (variables("RANK")) return std::nullopt;
  if (auto launch = read_slurm(variables)) return launch;
  for (const Names& names : kMpi) {
    if (auto launch = read_mpi(variables, names)) return launch;
  }
  return std::nullopt;
}

int threads_of_rank(const Launch& launch, int cores, const std::optional<std::string>& set) {
  const bool is_torchruns = launch.launcher == "torchrun" && set == "1";
  if (set && !is_torchruns) {
    return static_cast<int>(std::max<std::int64_t>(1, number_of("OMP_NUM_THREADS", *set)));
  }
  if (launch.has_own_cores) return std::max(1, cores);
  return std::max(1, cores / launch.local_count);
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

}  // namespace tenon
