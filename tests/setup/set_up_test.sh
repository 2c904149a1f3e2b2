#!/usr/bin/env bash
# Tests host/cmake/set_up.sh with stand-ins for the machine's tools first on PATH. Usage:
#   set_up_test.sh <path of set_up.sh>

set -uo pipefail
set_up=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

# machine TOOL=BODY...: a PATH with these stand-ins and the few real tools that the script calls.
# A stand-in's calls are noted in $scratch/calls.
machine() {
  rm -rf "$scratch/bin" "$scratch/calls"
  mkdir "$scratch/bin"
  touch "$scratch/calls"
  local tool stand_in
  for tool in bash dirname env grep awk cat mkdir rm sha256sum; do
    ln -s "$(type -P "$tool")" "$scratch/bin/$tool"
  done
  for stand_in in "$@"; do
    tool=${stand_in%%=*}
    printf '#!%s\necho "%s $*" >>"%s/calls"\n%s\n' "$(type -P bash)" "$tool" "$scratch" \
      "${stand_in#*=}" >"$scratch/bin/$tool"
    chmod +x "$scratch/bin/$tool"
  done
}

# run COMMAND: runs it with the functions of set_up.sh; sets status and text (both outputs).
run() {
  text=$(PATH=$scratch/bin bash -c "source '$set_up'; $1" 2>&1 </dev/null)
  status=$?
}

expect() {
  if [[ $2 != *"$3"* ]]; then
    echo "FAILED $1: expected \"$3\" in: $2"
    failures=$((failures + 1))
  fi
}

expect_same() {
  if [[ $2 != "$3" ]]; then
    echo "FAILED $1: expected \"$3\", got \"$2\""
    failures=$((failures + 1))
  fi
}

only_b_missing='[[ ${!#} == b ]] || echo installed'
install_b='apt-get install -y --no-install-recommends b'

case_name=NothingMissingCallsNoPackageManager
machine dpkg-query='echo installed' apt-get=: id='echo 0'
run 'install_packages a b'
expect_same $case_name "$status" 0
expect_same $case_name "$(grep -c apt-get "$scratch/calls")" 0

case_name=RootInstallsOnlyWhatIsMissing
machine dpkg-query="$only_b_missing" apt-get=: id='echo 0'
run 'install_packages a b'
expect_same $case_name "$status" 0
expect $case_name "$(<"$scratch/calls")" "$(printf 'apt-get update -q\napt-get install -y')"
expect $case_name "$(<"$scratch/calls")" "DPkg::Lock::Timeout=600 b"

case_name=OthersInstallWithSudo
machine dpkg-query="$only_b_missing" apt-get=: id='echo 1000' sudo='[[ $1 == -n ]] || "$@"'
run 'install_packages a b'
expect_same $case_name "$status" 0
expect $case_name "$(<"$scratch/calls")" "sudo env DEBIAN_FRONTEND=noninteractive apt-get install"

case_name=WithoutSudoTheCommandIsPrinted
machine dpkg-query="$only_b_missing" apt-get=: id='echo 1000'
run 'install_packages a b'
expect_same $case_name "$status" 2
expect $case_name "$text" "su -c 'apt-get update && $install_b'"

case_name=WhereSudoWantsAPasswordTheCommandIsPrinted
machine dpkg-query="$only_b_missing" apt-get=: id='echo 1000' sudo='exit 1'
run 'install_packages a b'
expect_same $case_name "$status" 2
expect $case_name "$text" "sudo apt-get update && sudo $install_b"

case_name=WithoutAptTheCommandIsPrinted
machine id='echo 0'
run 'install_packages b'
expect_same $case_name "$status" 2
expect $case_name "$text" "on Debian the command would be: $install_b"

case_name=FailedInstallationNamesTheCommand
machine dpkg-query="$only_b_missing" apt-get='exit 100' id='echo 0'
run 'install_packages a b'
expect_same $case_name "$status" 2
expect $case_name "$text" "installing the packages failed"

case_name=JobsAreBoundByCores
machine nproc='echo 1'
run job_count
expect_same $case_name "$text" 1

case_name=JobsAreBoundByMemory
machine nproc='echo 100000'
run job_count
memory=$(awk '/^MemTotal:/ { print int($2 / (2 * 1024 * 1024)) }' /proc/meminfo)
expect_same $case_name "$text" $((memory < 1 ? 1 : memory))

mkdir -p "$scratch/given" "$scratch/prefix/share/cmake/Torch"
touch "$scratch/given/TorchConfig.cmake" "$scratch/prefix/share/cmake/Torch/TorchConfig.cmake"

case_name=TorchDirComesFirst
machine python3="echo $scratch/prefix"
run "Torch_DIR=$scratch/given CMAKE_PREFIX_PATH=$scratch/prefix; choose_libtorch"
expect_same $case_name "$text" "set-up: LibTorch: $scratch/given (from Torch_DIR)"

case_name=TorchDirWithoutLibTorchIsRefused
run "Torch_DIR=$scratch; choose_libtorch"
expect_same $case_name "$status" 2
expect $case_name "$text" "Torch_DIR is $scratch, but there is no TorchConfig.cmake"

case_name=PrefixPathComesSecond
run "Torch_DIR= CMAKE_PREFIX_PATH=/nowhere:$scratch/prefix; choose_libtorch"
expect_same $case_name "$text" \
  "set-up: LibTorch: $scratch/prefix/share/cmake/Torch (from CMAKE_PREFIX_PATH)"

case_name=PythonsTorchComesThird
run "Torch_DIR= CMAKE_PREFIX_PATH=/nowhere; choose_libtorch"
expect_same $case_name "$text" \
  "set-up: LibTorch: $scratch/prefix (the torch that $scratch/bin/python3 has)"

case_name=EnvironmentIsMadeOnceForTheSameRequirements
venv='case "$1" in
  -c) echo "python and ${*:3}" ;;
  -m) mkdir -p "$3/bin"; printf "#!%s\necho pip \$* >>%s\n" "$(type -P bash)" "'$scratch'/calls" >"$3/bin/python"
      env chmod +x "$3/bin/python" ;;
esac'
machine python3="$venv" chmod="$(type -P chmod) \"\$@\""
run "build_dir=$scratch/build; make_environment peers x==1; make_environment peers x==1"
expect_same $case_name "$status" 0
expect_same $case_name "$(grep -c '^pip' "$scratch/calls")" 1
case_name=RequirementsAloneAreInstalledWithoutTheirDependencies
run "build_dir=$scratch/build; make_environment alone x==1 '--no-deps y==1'"
expect_same $case_name "$status" 0
expect_same $case_name "$(grep -c '^pip .*--no-deps y==1$' "$scratch/calls")" 1
expect_same $case_name "$(grep -c '^pip .*install --no-compile x==1$' "$scratch/calls")" 2

case_name=EnvironmentIsMadeAnewForOtherRequirements
run "build_dir=$scratch/build; make_environment peers x==2"
expect_same $case_name "$(grep -c '^pip .*x==2$' "$scratch/calls")" 1

case_name=OnlyTorchFrom211OnIsTaken
torch=$scratch/python/torch
mkdir -p "$torch/share/cmake/Torch"
touch "$torch/share/cmake/Torch/TorchConfig.cmake" "$torch/__init__.py"
find_torch() {
  echo "__version__ = '$1'" >"$torch/version.py"
  text=$(PYTHONPATH=$scratch/python python3 "$(dirname "$set_up")/find_torch.py" 2>&1)
}
find_torch 2.11.0+cu130
expect_same $case_name "$text" "$torch/share/cmake/Torch"
find_torch 2.9.1
expect_same $case_name "$text" "set-up: $torch is torch 2.9, not 2.11 or newer: not used"

if [[ $failures != 0 ]]; then
  exit 1
fi
echo "all cases passed"
