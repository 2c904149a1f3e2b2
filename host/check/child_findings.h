#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "check/child_process.h"
#include "check/rules.h"

namespace tenon {

// Records of named kinds, sent from a child to its parent: "finding", "layer", ...
void send_record(const ChildChannel& channel, const std::string& kind,
                 const std::vector<std::string>& fields);
// The fields of all records of a kind, in the order they were sent.
std::vector<std::vector<std::string>> records_of(const ChildOutcome& outcome,
                                                 std::string_view kind);

void send_finding(const ChildChannel& channel, const Finding& finding);
// What the child found, and what became of the child itself: rules no-crash, in-time, quiet.
Findings findings_of(const ChildOutcome& outcome);

}  // namespace tenon
