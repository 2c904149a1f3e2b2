#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace tenon {

// As which of how many processes this one was started, as its launcher says it.
struct Launch {
  std::string launcher;  // "torchrun", "Slurm", ... for people
  int rank = 0;
  int count = 1;
  int local_rank = 0;   // among those of this machine
  int local_count = 1;  // of this machine
  std::string address;  // of the store where the ranks find each other
  std::uint16_t port = 0;
  bool has_store = false;      // the launcher keeps the store; else rank 0 does
  std::string attempt = "0";   // 1 where the launcher started all ranks anew after a fault, ...
  bool has_own_cores = false;  // the launcher gave each process its own
};

// A variable's value; nullopt where it is not set, or empty.
using Variables = std::function<std::optional<std::string>(const std::string& name)>;
Variables environment();

// What torchrun, Slurm's srun, an mpirun or the plain variables (RANK, WORLD_SIZE, MASTER_ADDR,
// MASTER_PORT) say; nullopt for a process on its own. Throws Error{kCommandLine} that names what is
// missing of them, or is no number.
std::optional<Launch> read_launch(const Variables& variables);

// How many threads a process takes where nobody says: its part of the machine's cores. `set`:
// OMP_NUM_THREADS, which torchrun sets to 1 where the user does not.
int threads_of_rank(const Launch& launch, int cores, const std::optional<std::string>& set);
// Cores that this process may run on.
int usable_cores();

}  // namespace tenon
