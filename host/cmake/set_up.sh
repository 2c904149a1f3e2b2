# What configs/run and tests/run share: install what is missing, configure, build. To be sourced.
#
# Nothing is done twice: a package that dpkg lists as installed is left alone, a virtual environment
# is made anew only when its requirements or python3 changed, CMake configures only when its
# arguments changed. Messages go to standard error: standard output belongs to what runs afterwards.
# Where the set-up cannot go on, it says what to type and exits with status 2.

set -euo pipefail

tenon_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build_dir=$tenon_root/build

say() {
  echo "set-up: $*" >&2
}

# refuse PROBLEM [LINE...]: says what is wrong and, in the lines below it, what to do.
refuse() {
  echo "error: $1" >&2
  shift
  [[ $# == 0 ]] || printf '  %s\n' "$@" >&2
  exit 2
}

# packages_to_build: the Debian packages that building needs, one a line.
packages_to_build() {
  printf '%s\n' cmake ninja-build ccache g++ libboost-dev libboost-regex-dev libspdlog-dev \
    libgtest-dev libgmock-dev libcli11-dev nlohmann-json3-dev libtomlplusplus-dev \
    libjpeg-dev libpng-dev libgoogle-perftools-dev libgloo-dev
  packages_for_environments
}

# packages_for_environments: those that make_environment needs.
packages_for_environments() {
  if ! type -P python3 >/dev/null; then
    printf '%s\n' python3 python3-venv
  elif ! python3 -c 'import ensurepip' 2>/dev/null; then
    echo python3-venv
  fi
}

missing_packages() {
  local package
  for package in "$@"; do
    # With several architectures installed, the word comes once for each.
    if [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) != installed* ]]; then
      echo "$package"
    fi
  done
}

may_use_sudo() {
  type -P sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }
}

install_packages() {
  local missing as_root=()
  mapfile -t missing < <(missing_packages "$@")
  if [[ ${#missing[@]} == 0 ]]; then
    return
  fi
  local install="apt-get install -y --no-install-recommends ${missing[*]}"
  if ! type -P apt-get >/dev/null; then
    refuse "this machine has no apt-get; on Debian the command would be: $install" \
      "install what these packages hold, then: cmake -B build && cmake --build build"
  fi
  if [[ $(id -u) != 0 ]]; then
    as_root=(sudo)
    if ! type -P sudo >/dev/null; then
      refuse "packages are missing, and there is no sudo to install them with; type:" \
        "su -c 'apt-get update && $install'"
    elif ! may_use_sudo; then
      refuse "packages are missing, and sudo wants a password; type:" \
        "sudo apt-get update && sudo $install"
    fi
  fi
  say "installing ${missing[*]}"
  # A failed update is not the end: the lists that are there may do.
  "${as_root[@]}" apt-get update -q >&2 || say "apt-get update failed; trying with the old lists"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    -q -o DPkg::Lock::Timeout=600 "${missing[@]}" >&2 ||
    refuse "installing the packages failed; try:" "${as_root[*]} $install"
}

# make_environment NAME REQUIREMENT...: a virtual environment build/venv/NAME with just these. A
# requirement that starts with "--no-deps " is installed without what it asks for.
make_environment() {
  local folder=$build_dir/venv/$1 made_from requirement
  local complete=() alone=()
  shift
  for requirement in "$@"; do
    case $requirement in
      "--no-deps "*) alone+=("${requirement#--no-deps }") ;;
      *) complete+=("$requirement") ;;
    esac
  done
  made_from=$(python3 -c 'import sys; print(sys.base_prefix, sys.version, *sys.argv[1:])' "$@")
  if [[ -f $folder/made-from && $(<"$folder/made-from") == "$made_from" ]]; then
    return
  fi
  say "installing $* into $folder"
  rm -rf "$folder"
  python3 -m venv "$folder" >&2 ||
    refuse "python3 ($(type -P python3)) cannot make a virtual environment; it needs ensurepip"
  # Bytecode is made for what is imported, when it is: for all of it takes longer than the rest.
  local pip=("$folder/bin/python" -m pip --disable-pip-version-check --no-input install --no-compile)
  "${pip[@]}" "${complete[@]}" >&2 &&
    { [[ ${#alone[@]} == 0 ]] || "${pip[@]}" --no-deps "${alone[@]}" >&2; } ||
    refuse "pip could not install $*; see its message above"
  echo "$made_from" >"$folder/made-from"
}

# requirements [PATTERN]: the lines of tests/peers-requirements.txt that match.
requirements() {
  grep -v '^#' "$tenon_root/tests/peers-requirements.txt" | grep "${1:-.}"
}

make_peers_environment() {
  local peers
  mapfile -t peers < <(requirements)
  make_environment peers "${peers[@]}"
}

# torch_in_prefix_path: the first folder of CMAKE_PREFIX_PATH's that holds TorchConfig.cmake.
torch_in_prefix_path() {
  local prefix folder
  local -a prefixes
  IFS=':;' read -ra prefixes <<<"${CMAKE_PREFIX_PATH:-}"
  for prefix in "${prefixes[@]}"; do
    for folder in "$prefix/share/cmake/Torch" "$prefix/torch/share/cmake/Torch"; do
      if [[ -f $folder/TorchConfig.cmake ]]; then
        echo "$folder"
        return
      fi
    done
  done
  return 1
}

# Sets torch_dir, the folder of the LibTorch to build with, and says where it came from.
choose_libtorch() {
  local origin finder=$tenon_root/host/cmake/find_torch.py
  if [[ -n ${Torch_DIR:-} ]]; then
    origin="from Torch_DIR"
    torch_dir=$Torch_DIR
    if [[ ! -f $torch_dir/TorchConfig.cmake ]]; then
      refuse "Torch_DIR is $torch_dir, but there is no TorchConfig.cmake" \
        "set it to LibTorch's share/cmake/Torch, or unset it to have LibTorch installed"
    fi
  elif torch_dir=$(torch_in_prefix_path); then
    origin="from CMAKE_PREFIX_PATH"
  elif torch_dir=$(python3 "$finder"); then
    origin="the torch that $(type -P python3) has"
  else
    local pinned
    pinned=$(requirements '^torch==')
    make_environment libtorch "$pinned"
    torch_dir=$("$build_dir/venv/libtorch/bin/python" "$finder")
    origin="$pinned in a private environment"
  fi
  torch_dir=$(cd "$torch_dir" && pwd)
  say "LibTorch: $torch_dir ($origin)"
}

configure() {
  local arguments=(-DCMAKE_BUILD_TYPE=Release "-DTorch_DIR=$torch_dir") generator=()
  if [[ -f $build_dir/venv/peers/made-from ]]; then
    arguments+=("-DTENON_PEERS_PYTHON=$build_dir/venv/peers/bin/python")
  fi
  local stamp=$build_dir/configured-with
  if [[ -f $build_dir/CMakeCache.txt && -f $stamp && $(<"$stamp") == "${arguments[*]}" ]]; then
    return
  fi
  # A build folder that the user configured keeps the generator they chose.
  [[ -f $build_dir/CMakeCache.txt ]] || generator=(-G Ninja)
  # What an earlier LibTorch was found to be must not outlive it.
  cmake -S "$tenon_root" -B "$build_dir" "${generator[@]}" -U 'LibTorch_*' "${arguments[@]}" >&2
  echo "${arguments[*]}" >"$stamp"
}

# As many jobs as cores, but no more than memory allows: compiling LibTorch's headers takes 2 GiB.
job_count() {
  local cores fit
  cores=$(nproc)
  fit=$(awk '/^MemTotal:/ { print int($2 / (2 * 1024 * 1024)) }' /proc/meminfo)
  fit=$((fit < 1 ? 1 : fit))
  echo $((cores < fit ? cores : fit))
}

# show_progress: reads what Ninja prints under $ninja_status and shows the count and the time that the
# rest will take, on one line that redraws itself on a terminal, else every tenth of the way. What
# the compilers say passes through.
ninja_status='@%f %t %e '
show_progress() {
  local line done all seconds rest text shown=0 terminal=0
  [[ -t 2 ]] && terminal=1
  while IFS= read -r line; do
    if [[ $line != @* ]]; then
      ((terminal == 0 || shown == 0)) || printf '\r\033[K' >&2
      printf '%s\n' "$line" >&2
      continue
    fi
    read -r done all seconds rest <<<"${line#@}"
    # The first steps are the slowest: what they say of the rest is worth nothing.
    text="building $done of $all"
    if ((done >= all)); then
      text="built $all of $all in ${seconds%.*} s"
    elif ((done * 10 >= all)); then
      text+=", about $((${seconds%.*} * (all - done) / done)) s left"
    fi
    if ((terminal == 1)); then
      printf '\r\033[Kset-up: %s' "$text" >&2
      shown=1
    elif ((done * 10 / all > shown)) || ((done >= all)); then
      say "$text"
      shown=$((done * 10 / all))
    fi
  done
  ((terminal == 0 || shown == 0)) || echo >&2
}

# build [TARGET...]: everything, or these targets of Ninja's.
build() {
  local targets=()
  if ! grep -q '^CMAKE_GENERATOR:INTERNAL=Ninja$' "$build_dir/CMakeCache.txt"; then
    cmake --build "$build_dir" --parallel "$(job_count)" >&2
    return
  fi
  [[ $# == 0 ]] || targets=(--target "$@")
  # (pipefail is set: a failed build is a failure here.)
  NINJA_STATUS=$ninja_status cmake --build "$build_dir" --parallel "$(job_count)" \
    "${targets[@]}" 2>&1 | show_progress
}
