import { useId } from "preact/hooks";

interface SelectProps<T extends string | number> {
  label: string;
  value: T;
  options: readonly { value: T; label: string }[];
  onChange: (value: T) => void;
  /** The label is for screen readers only. */
  hidden?: boolean;
  disabled?: boolean;
}

export function Select<T extends string | number>({
  label,
  value,
  options,
  onChange,
  hidden,
  disabled,
}: SelectProps<T>) {
  const id = useId();
  return (
    <div class="field inline">
      <label for={id} class={hidden ? "unseen" : ""}>
        {label}
      </label>
      <select
        id={id}
        class="input"
        value={String(value)}
        disabled={disabled}
        onChange={({ currentTarget }) => {
          const chosen = options[currentTarget.selectedIndex];
          if (chosen) onChange(chosen.value);
        }}
      >
        {options.map((option) => (
          <option key={option.value} value={String(option.value)}>
            {option.label}
          </option>
        ))}
      </select>
    </div>
  );
}
