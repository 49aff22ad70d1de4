/** What artefacts say made them. */
export const GENERATOR = 'espalier 0.1.0';
