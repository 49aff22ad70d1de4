/** The error a simulated run ends in when something was wrong with its kernels. */
import { type Finding, formatFinding } from '@espalier/codegen';

/** What a simulated run found. The outputs of that run mean nothing. */
export class SimulationError extends Error {
  override readonly name = 'SimulationError';
  readonly code = 'R030';
  /** Each mistake of a statement once. */
  readonly findings: readonly Finding[];
  /** How often something was wrong. */
  readonly total: number;

  /** `label`: where in the graph the run stood, "layers.0.ffn". There must be a finding. */
  constructor(label: string, findings: readonly Finding[], total: number) {
    const [first] = findings;
    const others =
      findings.length > 1 ? ` (and ${findings.length - 1} more findings, ${total} occurrences in all)` : '';
    super(
      `R030: ${label}: ${first === undefined ? 'nothing' : formatFinding(first)}\n` +
        `the kernel is wrong, not its input${others}: report it, or correct the schedule or the pass that made it`,
    );
    this.findings = findings;
    this.total = total;
  }
}
