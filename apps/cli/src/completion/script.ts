/**
 * The scripts that shells load. Those of zsh, fish and PowerShell are @bomb.sh/tab's. That of bash is our own: tab's needs the
 * package bash-completion, evaluates the half-written words, and knows nothing of the `=` in `D=768`, at which bash cuts words.
 */
import { script } from '@bomb.sh/tab';

export type Shell = 'bash' | 'zsh' | 'fish' | 'powershell';

/** The script of a shell for the program `name`. */
export async function completionScript(shell: Shell, name: string): Promise<string> {
  return shell === 'bash' ? bashScript(name) : printed(() => script(shell, name, name));
}

/** What a function prints: tab has no other way to hand its scripts over. */
function printed(print: () => void): string {
  const terminal = globalThis.console;
  const { log } = terminal;
  const lines: string[] = [];
  terminal.log = (...texts: readonly unknown[]) => void lines.push(texts.join(' '));
  try {
    print();
  } finally {
    terminal.log = log;
  }
  return `${lines.join('\n')}\n`;
}

/** Works in every bash from 3.2 on, without the package bash-completion. */
const bashScript = (name: string): string => `# bash completion for ${name}

_${name}_complete() {
  local words=() piece glue= i line cur strip tab=$'\\t'
  # Bash cuts words at "=" and ":"; here they are put together again.
  for ((i = 1; i <= COMP_CWORD; i++)); do
    piece=\${COMP_WORDS[i]}
    if ((\${#words[@]} > 0)) && { [[ -n $glue ]] || [[ $piece == [=:]* ]]; }; then
      words[\${#words[@]} - 1]+=$piece
    else
      words+=("$piece")
    fi
    if [[ $piece == *[=:] ]]; then glue=1; else glue=; fi
  done
  cur=\${words[\${#words[@]} - 1]}
  # Of "--dims=D=7", answers take the place of "D=7"; bash replaces only what stands behind the last "=".
  if [[ $cur == --*=* ]]; then cur=\${cur#*=}; fi
  strip=\${cur%"\${cur##*[=:]}"}
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :*) if ((\${line#:} & 2)); then compopt -o nospace 2>/dev/null; fi ;;
      ?*)
        line=\${line%%"$tab"*}
        COMPREPLY+=("\${line#"$strip"}")
        ;;
    esac
  done < <(${name} complete -- "\${words[@]}" 2>/dev/null)
}

complete -F _${name}_complete ${name}
`;
