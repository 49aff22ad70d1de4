/** The Hugging Face Hub: models by name, downloaded once into a cache and used offline from then on. */
export { defaultCacheDir } from './cache.ts';
export type { DownloadProgress } from './download.ts';
export { type HubOptions, type HubSnapshot, hubSnapshot, parseHubId } from './snapshot.ts';
