#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

namespace tenon {

// The processes of one run, numbered from 0, and what they exchange. Every process calls the same
// functions in the same order. A process alone is a world of one, in which each of them does
// nothing; what goes wrong between several throws Error{Stage::kTraining} that names the rank.
class Ranks {
 public:
  virtual ~Ranks() = default;

  virtual int rank() const = 0;
  virtual int count() const = 0;
  // Rank 0 alone writes files and speaks to the user.
  bool is_first() const { return rank() == 0; }
  bool is_alone() const { return count() == 1; }

  // In place, the sum over all ranks: the same bits on each. `tensor` lies on the CPU in one piece.
  virtual void sum(at::Tensor tensor) = 0;
  // In place, what rank 0 has.
  virtual void broadcast(at::Tensor tensor) = 0;
  // What each rank gives, by rank; every rank gets all.
  virtual std::vector<std::string> gather(const std::string& bytes) = 0;
  // The same for rank 0 alone; the others get nothing.
  virtual std::vector<std::string> collect(const std::string& bytes) = 0;
  // Returns once every rank has come here.
  virtual void barrier() = 0;

  // For how long an exchange waits for the slowest rank.
  virtual void set_timeout(double seconds) = 0;
  // Notes for the other ranks why this one ends; false where another has noted the same.
  virtual bool note_failure(const std::string& reason) = 0;
  // Whether no exchange has failed, and none was left.
  virtual bool is_together() const = 0;
  // Ends its connections, which the others notice. After it nothing can be exchanged.
  virtual void leave() = 0;
};

// A world of one.
std::shared_ptr<Ranks> one_rank();

// Into these tensors of every rank, on whatever device, what rank 0's hold.
void share_tensors(Ranks& ranks, const std::vector<at::Tensor>& tensors);

}  // namespace tenon
