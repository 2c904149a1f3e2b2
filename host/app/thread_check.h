#pragma once

namespace tenon {

// Throws Error{kTraining} where so many threads cannot be made: the library that makes them for the
// work ends the process then.
void require_threads(int count);

}  // namespace tenon
