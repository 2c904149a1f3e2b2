// Breaks the naming rules on purpose: a test shows that clang-tidy catches it.
namespace tenon {

int WrongName() { return 0; }

}  // namespace tenon
