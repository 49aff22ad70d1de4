/**
 * Where the Vulkan driver may be. Vulkan's loader reads its environment as a process starts, and machines made for CUDA tell nobody
 * where the Vulkan part of NVIDIA's driver lies: so the stage is started in one environment after another until one has an adapter.
 */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import { VULKAN_FOLDER, VULKAN_LOADER } from '../bundle/layout.ts';

/** An environment to look for an adapter in. */
export interface Environment {
  /** For people: where the driver was looked for. */
  readonly name: string;
  readonly variables: Readonly<Record<string, string>>;
}

/** What there is to look at; tests look at other places. */
export interface Surroundings {
  /** The bundle's folder; a Vulkan loader lies in its `vulkan`. */
  readonly root: string;
  /** A folder that may be written to. */
  readonly scratch: string;
  /** The driver's description (ICD), where the user names it. */
  readonly icd?: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Folders of driver descriptions. */
  readonly folders?: readonly string[];
  /** Folders of NVIDIA's libraries beyond the usual ones. */
  readonly libraries?: readonly string[];
  /** Whether the system finds a library of this name. */
  readonly finds?: (library: string) => boolean;
}

const usualFolders = [
  '/etc/vulkan/icd.d',
  '/usr/share/vulkan/icd.d',
  '/usr/local/share/vulkan/icd.d',
  '/usr/local/etc/vulkan/icd.d',
  '/usr/local/nvidia/share/vulkan/icd.d',
  '/opt/nvidia/share/vulkan/icd.d',
];
const usualLibraries = ['/usr/local/nvidia/lib64', '/usr/local/nvidia/lib'];

/** NVIDIA's Vulkan driver, as it is reached with a display and, for machines without X11's libraries, without one. */
const driverLibraries = ['libGLX_nvidia.so.0', 'libEGL_nvidia.so.0'] as const;
const API_VERSION = '1.3.0';

function opens(library: string): boolean {
  try {
    koffi.load(library);
    return true;
  } catch {
    return false;
  }
}

const listing = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder)
      .filter((name) => /nvidia.*\.json$/i.test(name))
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
};

/** Environments, the likeliest first. */
export function vulkanEnvironments({
  root,
  scratch,
  icd,
  variables,
  folders = usualFolders,
  libraries = usualLibraries,
  finds = opens,
}: Surroundings): readonly Environment[] {
  const own = join(root, VULKAN_FOLDER);
  const paths = [
    ...(!finds(VULKAN_LOADER) && existsSync(join(own, VULKAN_LOADER)) ? [own] : []),
    ...(variables['LD_LIBRARY_PATH'] ? [variables['LD_LIBRARY_PATH']] : []),
    ...libraries.filter((folder) => existsSync(folder)),
  ];
  // The loader then says on the error stream which drivers it could not use, and why.
  const shared: Record<string, string> = { VK_LOADER_DEBUG: variables['VK_LOADER_DEBUG'] ?? 'error,warn' };
  if (paths.length > 0) shared['LD_LIBRARY_PATH'] = paths.join(':');
  const named = (name: string, file: string): Environment => ({
    name,
    variables: { ...shared, VK_DRIVER_FILES: file, VK_ICD_FILENAMES: file },
  });
  if (icd !== undefined) return [named(icd, icd)];
  const chosen = variables['VK_DRIVER_FILES'] ?? variables['VK_ICD_FILENAMES'];
  if (chosen) return [named(chosen, chosen)];
  const described = folders.flatMap(listing).map((file) => named(file, file));
  const written = driverLibraries.map((library) => {
    const file = join(scratch, `${library}.json`);
    const text = { file_format_version: '1.0.0', ICD: { library_path: library, api_version: API_VERSION } };
    writeFileSync(file, `${JSON.stringify(text)}\n`);
    return named(library, file);
  });
  return [...described, ...written, { name: 'any driver', variables: shared }];
}
