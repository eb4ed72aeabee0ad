# bash completion for remediate                             -*- shell-script -*-

_remediate() {
  local cur prev word command="" store="" i
  COMPREPLY=()
  cur=${COMP_WORDS[COMP_CWORD]}
  prev=${COMP_WORDS[COMP_CWORD - 1]}
  local commands="check plan show approve apply resume rollback finalize verify list export import init baseline"
  local global="--store --policy --format -q --quiet --no-input --no-sandbox --version --help"

  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case $word in
      --store) store=${COMP_WORDS[i + 1]-}; i=$((i + 1)) ;;
      --policy | --format) i=$((i + 1)) ;;
      -*) ;;
      *) [[ -n $command ]] || command=$word ;;
    esac
  done

  case $prev in
    --format) mapfile -t COMPREPLY < <(compgen -W "text json" -- "$cur"); return ;;
    --as) mapfile -t COMPREPLY < <(compgen -W "cacao infected-zip misp-sightings ocsf" -- "$cur"); return ;;
    --from) mapfile -t COMPREPLY < <(compgen -W "stix misp loki yara hashes" -- "$cur"); return ;;
    --weak-digests) mapfile -t COMPREPLY < <(compgen -W "review remove" -- "$cur"); return ;;
    --tlp) mapfile -t COMPREPLY < <(compgen -W "clear green amber amber+strict red" -- "$cur"); return ;;
    --store | --root | --outbox | --known-good)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -d -- "$cur")
      return
      ;;
    --policy | --cert | --key | --baseline | --baseline-signer | --unsigned-baseline | --html | --recovery-key | --directory | --recovery-cert | --signer-cert | --signer-key | --playbook | --output | --out | -o | -p)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      return
      ;;
    --confirm | --only | --threads | --witness | --include | --exclude | --name | --product | --build | --source | --recorded-as | --folder | --author | --id | --revision | --attack | --yara-score) return ;;
  esac

  if [[ -z $command ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$commands $global" -- "$cur")
    return
  fi

  local options=""
  case $command in
    plan) options="-p --playbook --root -o --output --html --known-good --threads --detailed-exitcode --baseline --baseline-signer --unsigned-baseline --directory" ;;
    show) options="--html" ;;
    approve) options="--cert --key" ;;
    apply) options="--confirm --directory" ;;
    resume) options="--directory" ;;
    rollback) options="--only --dry-run --outbox --recovery-key --with-privileges --directory" ;;
    verify) options="--witness --recovery-key" ;;
    export) options="-o --output --as --recovery-key" ;;
    baseline) options="--root --recorded-as --include --exclude --name --product --build --source -o --output --cert --key --threads --baseline-signer" ;;
    import) options="--from --folder --include --exclude -o --out --output --weak-digests --yara-score --name --author --id --revision --tlp --attack" ;;
    init) options="--signer-cert --signer-key --recovery-cert" ;;
  esac
  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options $global" -- "$cur")
    return
  fi

  case $command in
    baseline)
      if [[ $prev == baseline ]]; then
        mapfile -t COMPREPLY < <(compgen -W "create check" -- "$cur")
      else
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      fi
      ;;
    check | approve | apply | import)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      ;;
    show | resume | rollback | finalize | verify | export)
      if [[ -z $store ]]; then
        if ((EUID == 0)); then
          store=/var/lib/remediate
        else
          store=${XDG_STATE_HOME:-$HOME/.local/state}/remediate
        fi
      fi
      local runs=""
      [[ -d $store/runs ]] && runs=$(command ls -1 -- "$store/runs" 2>/dev/null)
      mapfile -t COMPREPLY < <(compgen -W "$runs" -- "$cur")
      if [[ $command == show || $command == export ]]; then
        compopt -o filenames
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur")
      fi
      ;;
  esac
} && complete -F _remediate remediate
