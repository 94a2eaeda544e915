import { type Part, sourceConformance } from "../conformance/source.ts";
import { huggingFaceSubject, modelScopeSubject, urlSubject } from "./subjects.ts";

const HUB: readonly Part[] = ["network", "repository"];

sourceConformance("huggingface", () => huggingFaceSubject("huggingface"), HUB);
sourceConformance("mlx", () => huggingFaceSubject("mlx"), HUB);
sourceConformance("modelscope", modelScopeSubject, HUB);
sourceConformance("url", urlSubject, ["network"]);
