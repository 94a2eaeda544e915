const WORDS: Record<string, string> = {
  huggingface: "Hugging Face",
  mlx: "Hugging Face, MLX",
  modelscope: "ModelScope",
  ollama: "Ollama",
  "ollama-registry": "Ollama",
  url: "URL",
};

/** Name of a provider as people know it. */
export const providerWord = (provider: string): string =>
  (Object.hasOwn(WORDS, provider) && WORDS[provider]) || provider;
