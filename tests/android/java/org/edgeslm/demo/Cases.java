package org.edgeslm.demo;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;

/** Runs every method of a class whose name begins with "case", and prints "NAME: passed", or what went wrong. */
final class Cases {
    /** How a case gets the object that it is called on. */
    interface Maker {
        Object make();
    }

    private Cases() {}

    static void run(Maker maker) throws IllegalAccessException {
        for (Method method : maker.make().getClass().getDeclaredMethods()) {
            if (!method.getName().startsWith("case")) {
                continue;
            }
            String outcome = "passed";
            try {
                method.invoke(maker.make());
            } catch (InvocationTargetException failed) {
                outcome = failed.getCause().toString();
                for (StackTraceElement frame : failed.getCause().getStackTrace()) {
                    outcome += frame.getMethodName().startsWith("case") ? " in line " + frame.getLineNumber() : "";
                }
            }
            System.out.println(method.getName() + ": " + outcome);
        }
    }

    static void same(Object wanted, Object found) {
        if (wanted == null ? found != null : !wanted.equals(found)) {
            throw new AssertionError("wanted " + wanted + ", found " + found);
        }
    }
}
