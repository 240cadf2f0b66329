package org.edgeslm;

/** The model does something else than what it was asked for. */
public final class WrongTaskException extends EdgeSlmException {
    private static final long serialVersionUID = 1;

    private final String task;

    WrongTaskException(String name, String task, String wanted) {
        super(name + " does " + task + ", not " + wanted, "call " + methodFor(task) + " instead");
        this.task = task;
    }

    /** "embedding", "classification" or "generation". */
    public String getTask() {
        return task;
    }

    private static String methodFor(String task) {
        switch (task) {
            case "embedding":
                return "embed(text)";
            case "classification":
                return "classify(text)";
            default:
                return "generate(prompt, options, callback)";
        }
    }
}
